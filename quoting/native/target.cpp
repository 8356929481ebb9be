// The Python module quoting._target: steps 1, 2, 3 and 5 of quoting/target.py, `quotes`, for a whole chain in one pass. What
// the steps mean stands there; tests/quoting/test_target_native.py holds them to a plain NumPy text. No contraction: the
// same bits on every machine.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Int = std::int64_t;

template <class T> using In = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T> using Out = nb::ndarray<T, nb::shape<2, -1>, nb::c_contig, nb::device::cpu>;

void need(bool condition, const char *what) {
    if (!condition) throw nb::value_error(what);
}

// A whole number of units or contracts; 0 where it is none.
Int whole(double value) { return std::abs(value) < 0x1p62 ? static_cast<Int>(value) : 0; }

void quotes(const In<double> &theo, const In<double> &error, const In<double> &edge, const In<double> &deviation,
            const In<double> &inventory, const In<bool> &is_good, const In<double> &base, const In<double> &slope, const In<double> &bid,
            const In<double> &ask, const In<double> &join_bid, const In<double> &join_ask, const In<double> &ceiling,
            const In<double> &floor, const In<bool> &is_shown, const In<Int> &tick_above, double uncertainty, double widest,
            double most_inventory, double full_size, double min_size, double snap, Out<double> price, Out<Int> size, Out<Int> limit) {
    const std::size_t n = theo.size();
    for (const auto &column : {error, edge, deviation, inventory, base, slope, bid, ask, join_bid, join_ask, ceiling, floor})
        need(column.size() == n, "columns differ in length");
    need(is_good.size() == n && is_shown.size() == n && tick_above.size() == n, "columns differ in length");
    need(price.shape(1) == n && size.shape(1) == n && limit.shape(1) == n, "outputs differ in length");
    const double *__restrict t = theo.data(), *__restrict e = error.data(), *__restrict least = edge.data(),
                 *__restrict dev = deviation.data(), *__restrict q = inventory.data(), *__restrict c = base.data(),
                 *__restrict w = slope.data(), *__restrict b = bid.data(), *__restrict a = ask.data(), *__restrict jb = join_bid.data(),
                 *__restrict ja = join_ask.data(), *__restrict top = ceiling.data(), *__restrict bottom = floor.data();
    const bool *__restrict good = is_good.data(), *__restrict shown = is_shown.data();
    const Int *__restrict tick = tick_above.data();
    double *__restrict bid_to = price.data(), *__restrict ask_to = bid_to + n;
    Int *__restrict bid_size_to = size.data(), *__restrict ask_size_to = bid_size_to + n;
    Int *__restrict bid_limit_to = limit.data(), *__restrict ask_limit_to = bid_limit_to + n;
    const double one_share = 1.0 / most_inventory;
    for (std::size_t i = 0; i < n; ++i) {
        const double width = dev[i] * w[i];
        double half = c[i] + 0.5 * width + uncertainty * e[i];
        half = std::max(std::min(half, widest - static_cast<double>(tick[i])), least[i]);

        const double room = half - least[i];
        const double skew = std::min(std::max(q[i] * width, -room), room);

        double bid_limit = std::min(t[i] - least[i], jb[i] + std::max(a[i] - t[i], 0.0));
        bid_limit = std::min(bid_limit, top[i]);
        double ask_limit = std::max(t[i] + least[i], ja[i] - std::max(t[i] - b[i], 0.0));
        ask_limit = std::max(ask_limit, bottom[i]);
        const bool is_quoted = good[i] & shown[i];
        const double none = std::numeric_limits<double>::quiet_NaN();
        bid_to[i] = is_quoted ? std::min(t[i] - half - skew, bid_limit) : none;
        ask_to[i] = is_quoted ? std::max(t[i] + half - skew, ask_limit) : none;
        bid_limit_to[i] = whole(std::floor(std::max(bid_limit, 0.0) + snap));
        ask_limit_to[i] = whole(std::ceil(ask_limit - snap));

        const double share = q[i] * one_share, full = full_size * (half / (half + e[i]));
        bid_size_to[i] = whole(std::max(min_size, full * std::min(1.0 - share, 1.0)));
        ask_size_to[i] = whole(std::max(min_size, full * std::min(1.0 + share, 1.0)));
    }
}

}  // namespace

NB_MODULE(_target, m) {
    // What is written to is taken as it is: a converted copy would be written to and lost.
    const auto to = [](const char *name) { return nb::arg(name).noconvert(); };
    m.doc() = "The arithmetic of quoting.target on a whole chain.";
    m.def("quotes", &quotes, nb::kw_only(), "theo"_a, "error"_a, "edge"_a, "deviation"_a, "inventory"_a, "is_good"_a, "base"_a, "slope"_a,
          "bid"_a, "ask"_a, "join_bid"_a, "join_ask"_a, "ceiling"_a, "floor"_a, "is_shown"_a, "tick_above"_a, "uncertainty"_a, "widest"_a,
          "most_inventory"_a, "full_size"_a, "min_size"_a, "snap"_a, to("price"), to("size"), to("limit"));
}
