// The Python module quoting._ladder: the arithmetic of quoting/ladder.py on whole books, one pass each. Shapes and types were
// checked there; what is checked again here is only what would read or write outside an array.
//
// Whole numbers throughout, and doubles without contraction: the same bits on every machine. What each function means stands
// in quoting/ladder.py; tests/quoting/test_ladder_native.py holds each to a plain NumPy text of it.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Int = std::int64_t;

constexpr Int FAR = Int{1} << 62;  // above every price
constexpr double TOO_FAR = static_cast<double>(FAR);

template <class T> using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T> using Out = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

void need(bool condition, const char *what) {
    if (!condition) throw nb::value_error(what);
}

// Books are (venues, 2, n); a target of shape (2, n) stands for every venue.
struct Shape {
    std::size_t venues, n, target_step;
};

Shape shape_of(const In<Int> &target, const In<Int> &shown) {
    need(shown.ndim() == 3 && shown.shape(1) == 2, "a book needs the shape (venues, 2, n)");
    const std::size_t venues = shown.shape(0), n = shown.shape(2);
    need(target.size() == 2 * n || target.size() == venues * 2 * n, "target and book differ in shape");
    return {venues, n, target.size() == 2 * n ? 0 : 2 * n};
}

// A number of units, rounded already; no side where it is none or beyond every price.
Int units(double price) { return std::abs(price) < TOO_FAR ? static_cast<Int>(price) : 0; }

void round_out(const In<double> &bid, const In<double> &ask, const In<Int> &below, const In<Int> &above, Int threshold,
               double snap, Out<Int> out) {
    const std::size_t n = bid.size();
    need(ask.size() == n && below.size() == n && above.size() == n && out.size() == 2 * n, "lengths differ");
    const double *b = bid.data(), *a = ask.data();
    const Int *lo = below.data(), *hi = above.data();
    Int *low_to = out.data(), *high_to = out.data() + n;
    const double edge = static_cast<double>(threshold);
    for (std::size_t i = 0; i < n; ++i) {
        const double under = static_cast<double>(lo[i]), over = static_cast<double>(hi[i]);
        const double low = std::floor((b[i] > 0.0 ? b[i] : 0.0) + snap);  // NaN compares false
        const double low_step = low < edge ? under : over;
        low_to[i] = units(std::floor(low / low_step) * low_step);
        const double high = std::ceil((a[i] > 0.0 ? a[i] : 0.0) - snap);
        const double high_step = high < edge ? under : over;
        high_to[i] = units(std::ceil(high / high_step) * high_step);
    }
}

void hold(const In<Int> &target_price, const In<Int> &target_size, const In<Int> &shown_price, const In<Int> &shown_size,
          const In<Int> &limit, const In<Int> &tick, double requote_ticks, double replenish_share, Out<Int> price, Out<Int> size) {
    const auto [venues, n, step] = shape_of(target_price, shown_price);
    need(target_size.size() == target_price.size() && shown_size.size() == shown_price.size(), "prices and sizes differ in shape");
    need(limit.size() == 2 * n && tick.size() == n, "limit or tick differs in length");
    need(price.size() == shown_price.size() && size.size() == shown_price.size(), "out differs in shape");
    for (std::size_t venue = 0; venue < venues; ++venue) {
        for (std::size_t side = 0; side < 2; ++side) {
            const std::size_t at = (venue * 2 + side) * n, from = venue * step + side * n;
            const Int *tp = target_price.data() + from, *ts = target_size.data() + from;
            const Int *sp = shown_price.data() + at, *ss = shown_size.data() + at;
            const Int *bound = limit.data() + side * n, *inc = tick.data();
            Int *__restrict p = price.data() + at, *__restrict s = size.data() + at;
            const Int outward = side == 0 ? 1 : -1;
            for (std::size_t i = 0; i < n; ++i) {
                const Int move = tp[i] > sp[i] ? tp[i] - sp[i] : sp[i] - tp[i];
                const bool stays = (static_cast<double>(move) < requote_ticks * static_cast<double>(inc[i])) & (ss[i] > 0) & (ts[i] > 0) &
                                   (outward * sp[i] <= outward * bound[i]);
                const bool full = stays & (ss[i] <= ts[i]) & (static_cast<double>(ss[i]) >= replenish_share * static_cast<double>(ts[i]));
                p[i] = stays ? sp[i] : tp[i];
                s[i] = full ? ss[i] : ts[i];
            }
        }
    }
}

// Whether a side of the target may reach the other side of anything that stands, be it at its own venue.
bool may_meet(const In<Int> &target_price, const In<Int> &target_size, const In<Int> &shown_price, const In<Int> &shown_size) {
    const auto [venues, n, step] = shape_of(target_price, shown_price);
    need(step != 0 || venues <= 1, "the target needs a row for each venue");
    need(target_size.size() == target_price.size() && shown_size.size() == shown_price.size(), "prices and sizes differ in shape");
    std::vector<Int> wanted_bid(n, 0), wanted_ask(n, FAR), standing_bid(n, 0), standing_ask(n, FAR);
    for (std::size_t venue = 0; venue < venues; ++venue) {
        const std::size_t bids = venue * 2 * n, asks = bids + n;
        for (std::size_t i = 0; i < n; ++i) {
            wanted_bid[i] = std::max(wanted_bid[i], target_price.data()[bids + i]);
            wanted_ask[i] = std::min(wanted_ask[i], target_size.data()[asks + i] > 0 ? target_price.data()[asks + i] : FAR);
            standing_bid[i] = std::max(standing_bid[i], shown_price.data()[bids + i]);
            standing_ask[i] = std::min(standing_ask[i], shown_size.data()[asks + i] > 0 ? shown_price.data()[asks + i] : FAR);
        }
    }
    bool meets = false;
    for (std::size_t i = 0; i < n; ++i) meets |= (wanted_bid[i] >= standing_ask[i]) | (wanted_ask[i] <= standing_bid[i]);
    return meets;
}

void diff(const In<Int> &target_price, const In<Int> &target_size, const In<Int> &shown_price, const In<Int> &shown_size,
          Out<bool> out) {
    const auto [venues, n, step] = shape_of(target_price, shown_price);
    need(target_size.size() == target_price.size() && shown_size.size() == shown_price.size(), "prices and sizes differ in shape");
    need(out.size() == venues * n, "out differs in shape");
    for (std::size_t venue = 0; venue < venues; ++venue) {
        const std::size_t at = venue * 2 * n, from = venue * step;
        const Int *tp = target_price.data() + from, *ts = target_size.data() + from;
        const Int *sp = shown_price.data() + at, *ss = shown_size.data() + at;
        bool *to = out.data() + venue * n;
        for (std::size_t i = 0; i < n; ++i)
            to[i] = ((tp[i] ^ sp[i]) | (ts[i] ^ ss[i]) | (tp[n + i] ^ sp[n + i]) | (ts[n + i] ^ ss[n + i])) != 0;
    }
}

void put(const In<Int> &price, const In<bool> &mask, Out<Int> out) {
    const std::size_t n = mask.size();
    need(price.size() == 2 * n && out.size() == 2 * n, "shapes differ");
    const Int *__restrict from = price.data();
    const bool *__restrict chosen = mask.data();
    Int *__restrict to = out.data();
    for (std::size_t side = 0; side < 2; ++side)
        for (std::size_t i = 0; i < n; ++i) to[side * n + i] = chosen[i] ? from[side * n + i] : to[side * n + i];
}

// The columns have as many elements as the mask has entries.
void rows(const In<Int> &price, const In<Int> &size, const In<bool> &mask, const In<std::int16_t> &venues, Out<std::int16_t> venue,
          Out<std::int32_t> contract, Out<Int> bid, Out<std::int32_t> bid_size, Out<Int> ask, Out<std::int32_t> ask_size) {
    const auto [count, n, step] = shape_of(price, price);
    const std::size_t room = contract.size();
    need(step != 0 || count <= 1, "a book needs a row for each venue");
    need(size.size() == price.size() && mask.size() == count * n && venues.size() == count, "shapes differ");
    need(venue.size() == room && bid.size() == room && bid_size.size() == room && ask.size() == room && ask_size.size() == room,
         "columns differ in length");
    std::int16_t *__restrict venue_to = venue.data();
    std::int32_t *__restrict contract_to = contract.data(), *__restrict bid_size_to = bid_size.data(), *__restrict ask_size_to = ask_size.data();
    Int *__restrict bid_to = bid.data(), *__restrict ask_to = ask.data();
    std::vector<std::int32_t> chosen(n + 1);
    std::size_t k = 0;
    for (std::size_t row = 0; row < count; ++row) {
        const Int *p = price.data() + row * 2 * n, *s = size.data() + row * 2 * n;
        const bool *is_chosen = mask.data() + row * n;
        std::size_t found = 0;
        for (std::size_t i = 0; i < n; ++i) {  // no branch: which entries differ cannot be foreseen
            chosen[found] = static_cast<std::int32_t>(i);
            found += is_chosen[i];
        }
        need(k + found <= room, "more entries than room");
        for (std::size_t j = 0; j < found; ++j, ++k) {
            const std::int32_t i = chosen[j];
            venue_to[k] = venues.data()[row];
            contract_to[k] = i;
            bid_to[k] = p[i];
            bid_size_to[k] = static_cast<std::int32_t>(s[i]);
            ask_to[k] = p[n + static_cast<std::size_t>(i)];
            ask_size_to[k] = static_cast<std::int32_t>(s[n + static_cast<std::size_t>(i)]);
        }
    }
    need(k == room, "fewer entries than room");
}

}  // namespace

NB_MODULE(_ladder, m) {
    // What is written to is taken as it is: a converted copy would be written to and lost.
    const auto to = [](const char *name) { return nb::arg(name).noconvert(); };
    m.doc() = "The arithmetic of quoting.ladder on whole books.";
    m.def("round_out", &round_out, "bid"_a, "ask"_a, "below"_a, "above"_a, nb::kw_only(), "threshold"_a, "snap"_a, to("out"));
    m.def("hold", &hold, "target_price"_a, "target_size"_a, "shown_price"_a, "shown_size"_a, "limit"_a, "tick"_a, nb::kw_only(),
          "requote_ticks"_a, "replenish_share"_a, to("price"), to("size"));
    m.def("may_meet", &may_meet, "target_price"_a, "target_size"_a, "shown_price"_a, "shown_size"_a);
    m.def("diff", &diff, "target_price"_a, "target_size"_a, "shown_price"_a, "shown_size"_a, nb::kw_only(), to("out"));
    m.def("put", &put, "price"_a, "mask"_a, nb::kw_only(), to("out"));
    m.def("rows", &rows, "price"_a, "size"_a, "mask"_a, "venues"_a, nb::kw_only(), to("venue"), to("contract"), to("bid"),
          to("bid_size"), to("ask"), to("ask_size"));
}
