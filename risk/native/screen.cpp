// The Python module risk._screen: passes of the gate over whole chains, behind risk/screen.py, risk/bounds.py and
// risk/resting.py. What each means stands there; tests/risk/test_screen.py holds each to plain NumPy.
//
// Nothing is judged here. `entries` and `self_crossed` only say that a message is beyond doubt; all others are judged by
// risk/quote_checks.py.
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
using Size = std::int32_t;
using Venue = std::int16_t;

constexpr Int FAR = Int{1} << 60;             // the price of an absent offer, risk/in_flight.py
constexpr Int THREE_DOLLARS = 30'000;         // where the increment changes, domain/price.py
constexpr Int EXACT = Int{1} << 53;           // whole numbers below it are exact as doubles
constexpr double TOO_FAR = static_cast<double>(FAR);

template <class T> using In = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T> using Out = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Rows = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void need(bool condition, const char *what) {
    if (!condition) throw nb::value_error(what);
}

// --- prices between which an entry may stand ---------------------------------------------------------------------------
void collar(const In<double> &theo, const In<bool> &is_open, const In<Int> &nbbo_bid, const In<Int> &nbbo_ask, double dollars,
            double fraction, double scale, Out<Int> cap, Out<Int> floor) {
    const std::size_t n = theo.size();
    need(is_open.size() == n && nbbo_bid.size() == n && nbbo_ask.size() == n, "lengths differ");
    need(cap.size() == n && floor.size() == n, "lengths of the outputs differ");
    const double *__restrict t = theo.data();
    const bool *__restrict open_at = is_open.data();
    const Int *__restrict bids = nbbo_bid.data(), *__restrict asks = nbbo_ask.data();
    Int *__restrict high_to = cap.data(), *__restrict low_to = floor.data();
    const double least = dollars * scale;
    for (std::size_t i = 0; i < n; ++i) {
        const double value = t[i] * scale, room = std::max(least, fraction * value);
        const double bid = static_cast<double>(bids[i]), ask = static_cast<double>(asks[i]);
        const double high = std::floor((ask > 0.0 ? std::min(value, ask) : value) + room);
        const double low = std::ceil(std::max(std::max(value, bid) - room, 1.0));  // an absent national bid is 0
        const bool open = open_at[i] && value < TOO_FAR && high < TOO_FAR;   // not NaN, and a price
        high_to[i] = open ? static_cast<Int>(high) : 0;
        low_to[i] = open && low < TOO_FAR ? static_cast<Int>(low) : FAR;
    }
}

// --- entries of a mass quote -------------------------------------------------------------------------------------------
// Arrays are told to be apart: they are columns of one frame and state of the gate, never one inside another.
struct Message {
    const Venue *__restrict venue;
    const std::int32_t *__restrict contract;
    const Int *__restrict bid;
    const Size *__restrict bid_size;
    const Int *__restrict ask;
    const Size *__restrict ask_size;

    Int offer(std::size_t i) const { return ask_size[i] > 0 ? ask[i] : FAR; }
};

bool is_side(Int price, Size size, Size most, Int below, Int above) {
    const double steps = static_cast<double>(price) / static_cast<double>(price < THREE_DOLLARS ? below : above);
    return (size >= 0) & (size <= most) & (price >= 0) & (price < EXACT) & ((price > 0) == (size > 0)) & (steps == std::floor(steps));
}

// 0: something may speak against an entry. 1: nothing does. 2: nothing does, and some entry raises what may trade.
int entries(const In<Venue> &venue, const In<std::int32_t> &contract, const In<Int> &bid, const In<Size> &bid_size, const In<Int> &ask,
            const In<Size> &ask_size, const In<Int> &cap, const In<Int> &floor, const In<Int> &below, const In<Int> &above,
            const In<Int> &resting_bid, const In<Int> &resting_ask, Size most, Out<nb::ssize_t> rows, Out<Int> bid_reach,
            Out<Int> ask_reach) {
    const std::size_t k = venue.size(), n = bid_reach.size(), all = cap.size();
    need(contract.size() == k && bid.size() == k && bid_size.size() == k && ask.size() == k && ask_size.size() == k && rows.size() == k,
         "columns differ in length");
    need(floor.size() == all && below.size() == all && above.size() == all && resting_bid.size() == all && resting_ask.size() == all,
         "arrays by row differ in length");
    need(n > 0 && ask_reach.size() == n && all % n == 0, "arrays by contract do not fit");
    const std::size_t venues = all / n;
    const Message m{venue.data(), contract.data(), bid.data(), bid_size.data(), ask.data(), ask_size.data()};
    const Int *__restrict caps = cap.data(), *__restrict floors = floor.data(), *__restrict low = below.data(),
              *__restrict high = above.data(), *__restrict may_buy = resting_bid.data(), *__restrict may_sell = resting_ask.data();
    Int *__restrict buys = bid_reach.data(), *__restrict sells = ask_reach.data();
    nb::ssize_t *__restrict row = rows.data();
    std::copy_n(may_buy, n, buys);
    std::copy_n(may_sell, n, sells);
    for (std::size_t v = 1; v < venues; ++v)
        for (std::size_t i = 0; i < n; ++i) {
            buys[i] += may_buy[v * n + i];
            sells[i] += may_sell[v * n + i];
        }
    nb::ssize_t last = -1;
    bool are_good = true, grows = false;
    for (std::size_t i = 0; i < k; ++i) {
        const auto v = static_cast<std::size_t>(m.venue[i]), c = static_cast<std::size_t>(m.contract[i]);  // huge if negative
        if (v >= venues || c >= n) return 0;
        const std::size_t at = v * n + c;
        row[i] = static_cast<nb::ssize_t>(at);
        const Int offer = m.offer(i);
        are_good &= (row[i] > last) &  // rows rise, so that none is named twice
                    is_side(m.bid[i], m.bid_size[i], most, low[at], high[at]) & is_side(m.ask[i], m.ask_size[i], most, low[at], high[at]) &
                    (m.bid[i] < offer) & (m.bid[i] <= caps[at]) & (offer >= floors[at]);
        last = row[i];
        const Int more_bid = std::max<Int>(m.bid_size[i] - may_buy[at], 0), more_ask = std::max<Int>(m.ask_size[i] - may_sell[at], 0);
        buys[c] += more_bid;
        sells[c] += more_ask;
        grows |= (more_bid | more_ask) > 0;
    }
    return !are_good ? 0 : grows ? 2 : 1;
}

// Whether an entry may meet a quote of ours at another venue: what may stand there, or what this message brings there.
// The rows are those that `entries` wrote.
bool self_crossed(const In<nb::ssize_t> &rows, const In<std::int32_t> &contract, const In<Int> &bid, const In<Int> &ask,
                  const In<Size> &ask_size, const In<Int> &high_bid, const In<Int> &low_ask, std::size_t n) {
    const std::size_t k = rows.size(), all = high_bid.size();
    need(contract.size() == k && bid.size() == k && ask.size() == k && ask_size.size() == k, "columns differ in length");
    need(n > 0 && low_ask.size() == all && all % n == 0, "arrays by row do not fit");
    const Message m{nullptr, contract.data(), bid.data(), nullptr, ask.data(), ask_size.data()};
    const nb::ssize_t *__restrict row = rows.data();
    std::vector<Int> high(high_bid.data(), high_bid.data() + all), low(low_ask.data(), low_ask.data() + all);
    for (std::size_t i = 0; i < k; ++i) {
        const auto at = static_cast<std::size_t>(row[i]);
        need(at < all, "a row is out of range");
        need(static_cast<std::size_t>(m.contract[i]) < n, "a contract is out of range");
        high[at] = std::max(high[at], m.bid[i]);
        low[at] = std::min(low[at], m.offer(i));
    }
    bool meets = false;
    for (std::size_t i = 0; i < k; ++i) {
        const auto at = static_cast<std::size_t>(row[i]);
        for (auto other = static_cast<std::size_t>(m.contract[i]); other < all; other += n)
            meets |= (other != at) & ((m.bid[i] >= low[other]) | (m.offer(i) <= high[other]));
    }
    return meets;
}

// --- the worst case ----------------------------------------------------------------------------------------------------
// Gross and net sums of delta, gamma and vega of what may trade, its premium, and that of what is held; then the largest
// position either way. Shape (9,). Sums run in order: they differ from NumPy's in the last bits.
void totals(const Rows &greeks, const In<double> &premium, const In<Int> &position, const In<Int> &bid, const In<Int> &ask,
            Out<double> out) {
    const std::size_t n = premium.size();
    need(greeks.shape(0) == 3 && greeks.shape(1) == n && position.size() == n && bid.size() == n && ask.size() == n, "lengths differ");
    need(out.size() == 9, "out must have 9 elements");
    const double *__restrict g = greeks.data(), *__restrict one_premium = premium.data();
    const Int *__restrict buys = bid.data(), *__restrict sells = ask.data(), *__restrict holds = position.data();
    double gross[3] = {}, net[3] = {}, reach = 0.0, held = 0.0;
    Int longest = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const Int buy = buys[i], sell = sells[i], now = holds[i];
        const double both = static_cast<double>(buy + sell), more = static_cast<double>(buy - sell);
        for (std::size_t row = 0; row < 3; ++row) {
            const double one = g[row * n + i];
            gross[row] += std::abs(one) * both;
            net[row] += one * more;
        }
        reach += one_premium[i] * both;
        held += one_premium[i] * static_cast<double>(std::abs(now));
        longest = std::max(longest, std::max(now + buy, sell - now));
    }
    const double all[9] = {gross[0], gross[1], gross[2], net[0], net[1], net[2], reach, held, static_cast<double>(longest)};
    std::copy_n(all, 9, out.data());
}

// --- what was sent -----------------------------------------------------------------------------------------------------
void take_up(const In<nb::ssize_t> &rows, const In<Int> &bid, const In<Size> &bid_size, const In<Int> &ask, const In<Size> &ask_size,
             Int number, Out<Int> may_buy, Out<Int> may_sell, Out<Int> high_bid, Out<Int> low_ask, Out<Int> sent_bid, Out<Int> sent_ask,
             Out<Int> sent_by) {
    const std::size_t k = rows.size(), all = may_buy.size();
    need(bid.size() == k && bid_size.size() == k && ask.size() == k && ask_size.size() == k, "columns differ in length");
    need(may_sell.size() == all && high_bid.size() == all && low_ask.size() == all && sent_bid.size() == all && sent_ask.size() == all &&
             sent_by.size() == all,
         "arrays by row differ in length");
    const Message m{nullptr, nullptr, bid.data(), bid_size.data(), ask.data(), ask_size.data()};
    const nb::ssize_t *__restrict row = rows.data();
    Int *__restrict buys = may_buy.data(), *__restrict sells = may_sell.data(), *__restrict high = high_bid.data(),
        *__restrict low = low_ask.data(), *__restrict bids = sent_bid.data(), *__restrict asks = sent_ask.data(),
        *__restrict by = sent_by.data();
    for (std::size_t i = 0; i < k; ++i) need(static_cast<std::size_t>(row[i]) < all, "a row is out of range");
    for (std::size_t i = 0; i < k; ++i) {
        const auto at = static_cast<std::size_t>(row[i]);
        const Int offer = m.offer(i);
        buys[at] = std::max<Int>(buys[at], m.bid_size[i]);
        sells[at] = std::max<Int>(sells[at], m.ask_size[i]);
        high[at] = std::max(high[at], m.bid[i]);
        low[at] = std::min(low[at], offer);
        bids[at] = m.bid[i];
        asks[at] = offer;
        by[at] = number;
    }
}

}  // namespace

NB_MODULE(_screen, m) {
    // What is written to is taken as it is: a converted copy would be written to and lost.
    const auto to = [](const char *name) { return nb::arg(name).noconvert(); };
    m.doc() = "Passes of the risk gate over whole chains.";
    m.def("collar", &collar, "theo"_a, "is_open"_a, "nbbo_bid"_a, "nbbo_ask"_a, nb::kw_only(), "dollars"_a, "fraction"_a, "scale"_a,
          to("cap"), to("floor"));
    m.def("entries", &entries, "venue"_a, "contract"_a, "bid"_a, "bid_size"_a, "ask"_a, "ask_size"_a, nb::kw_only(), "cap"_a, "floor"_a,
          "below"_a, "above"_a, "resting_bid"_a, "resting_ask"_a, "most"_a, to("rows"), to("bid_reach"), to("ask_reach"));
    m.def("self_crossed", &self_crossed, "rows"_a, "contract"_a, "bid"_a, "ask"_a, "ask_size"_a, nb::kw_only(), "high_bid"_a,
          "low_ask"_a, "contracts"_a);
    m.def("totals", &totals, "greeks"_a, "premium"_a, "position"_a, "bid"_a, "ask"_a, nb::kw_only(), to("out"));
    m.def("take_up", &take_up, "rows"_a, "bid"_a, "bid_size"_a, "ask"_a, "ask_size"_a, nb::kw_only(), "number"_a, to("may_buy"),
          to("may_sell"), to("high_bid"), to("low_ask"), to("sent_bid"), to("sent_ask"), to("sent_by"));
}
