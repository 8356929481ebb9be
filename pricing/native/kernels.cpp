// The loops over contracts. Compiled once per instruction set, with AXIOM_ISA and AXIOM_LANES set by the build.
#include "kernels.hpp"

#include "american_greeks.hpp"
#include "implied_vol.hpp"

#define AXIOM_TEXT_(x) #x
#define AXIOM_TEXT(x) AXIOM_TEXT_(x)

namespace axiom {
namespace AXIOM_ISA {
namespace {

// Calls body(i, count) for blocks of at most LANES contracts.
template <class Body> AXIOM_FN void for_blocks(std::size_t n, Body body) {
    std::size_t i = 0;
    for (; i + LANES <= n; i += LANES) body(i, LANES);
    if (i < n) body(i, static_cast<int>(n - i));
}

AXIOM_FN Market<Vec> load_market(const Column *columns, std::size_t i, int count) {
    return check_market(load(columns[0], i, count), load(columns[1], i, count), load(columns[2], i, count), load(columns[3], i, count),
                        load(columns[4], i, count), load(columns[5], i, count), load(columns[6], i, count));
}

void black_forward(const Column *columns, std::size_t n, double *out) {
    for_blocks(n, [=](std::size_t i, int count) __attribute__((always_inline)) {
        const Vec price = forward_price(load(columns[0], i, count), load(columns[1], i, count), load(columns[2], i, count),
                                        load(columns[3], i, count), load(columns[4], i, count));
        store(out + i, price, count);
    });
}

void black_spot(const Column *columns, std::size_t n, double *out) {
    for_blocks(n, [=](std::size_t i, int count) __attribute__((always_inline)) {
        store(out + i, european_price(load_market(columns, i, count)), count);
    });
}

void black_greeks(const Column *columns, std::size_t n, double *out, std::ptrdiff_t stride) {
    for_blocks(n, [=](std::size_t i, int count) __attribute__((always_inline)) {
        Vec row[ROWS];
        european_greeks(load_market(columns, i, count), row);
        for (int k = 0; k < ROWS; ++k) store(out + k * stride + i, row[k], count);
    });
}

void implied_vol(const Column *columns, std::size_t n, double *out, std::int8_t *status) {
    for_blocks(n, [=](std::size_t i, int count) __attribute__((always_inline)) {
        const Solved<Vec> solved =
            implied_volatility(load(columns[0], i, count), load(columns[1], i, count), load(columns[2], i, count),
                               load(columns[3], i, count), load(columns[4], i, count), load(columns[5], i, count));
        store(out + i, solved.vol, count);
        store(status + i, solved.status, count);
    });
}

// Contracts that need a boundary are gathered by scheme, so that a chain of alternating calls and puts fills every lane.
constexpr std::size_t CHUNK = 256;

AXIOM_FN Vec gather(const Column &column, const std::size_t *index) {
    if (column.step == 0) return splat<Vec>(*column.data);
    Vec x;
    for (int k = 0; k < LANES; ++k) x[k] = column.data[index[k]];
    return x;
}

// Rows that need no boundary are filled by `easy(market, status, row)`; the others by `hard(quadrature, sweeps, market, row)`,
// which returns their status. A row whose status has no value is NaN throughout.
template <int ROW_COUNT, class Easy, class Hard>
AXIOM_FN void american_rows(const Column *columns, std::size_t n, bool accurate, double *out, std::ptrdiff_t stride,
                            std::int8_t *status, Easy easy, Hard hard) {
    std::size_t waiting[ROUTES][CHUNK + LANES];
    for (std::size_t start = 0; start < n; start += CHUNK) {
        const std::size_t size = n - start < CHUNK ? n - start : CHUNK;
        std::size_t count[ROUTES] = {};
        for_blocks(size, [&](std::size_t offset, int lanes) __attribute__((always_inline)) {
            const std::size_t i = start + offset;
            const Market<Vec> market = load_market(columns, i, lanes);
            const Plan<Vec> plan = plan_of(market, accurate);
            Vec row[ROW_COUNT];
            easy(market, plan.status, row);
            const Mask no_value = plan.status > static_cast<std::int64_t>(AM_EXPIRED);
            for (int k = 0; k < ROW_COUNT; ++k) store(out + k * stride + i, no_value ? splat<Vec>(NOT_A_NUMBER) : row[k], lanes);
            store(status + i, plan.status, lanes);
            for (int k = 0; k < lanes; ++k)
                if (plan.status[k] == AM_OK) waiting[plan.route[k]][count[plan.route[k]]++] = i + k;
        });
        for (int route = 0; route < ROUTES; ++route) {
            for (int k = 0; k < LANES; ++k) waiting[route][count[route] + k] = waiting[route][0];  // idle lanes repeat one
            for (std::size_t at = 0; at < count[route]; at += LANES) {
                const std::size_t *index = waiting[route] + at;
                const Market<Vec> market =
                    check_market(gather(columns[0], index), gather(columns[1], index), gather(columns[2], index),
                                 gather(columns[3], index), gather(columns[4], index), gather(columns[5], index),
                                 gather(columns[6], index));
                Vec row[ROW_COUNT];
                Mask code;
                switch (route) {
                case SMALL_A: code = hard(SMALL_QUADRATURE, Sweeps{FixedPoint::A, 3}, market, row); break;
                case MEDIUM_A: code = hard(MEDIUM_QUADRATURE, Sweeps{FixedPoint::A, 6}, market, row); break;
                case MEDIUM_B: code = hard(MEDIUM_QUADRATURE, Sweeps{FixedPoint::B, 10}, market, row); break;
                default: code = hard(LARGE_QUADRATURE, Sweeps{FixedPoint::B, 16}, market, row); break;
                }
                const int lanes = count[route] - at < LANES ? static_cast<int>(count[route] - at) : LANES;
                for (int lane = 0; lane < lanes; ++lane) {
                    bool finite = true;
                    for (int k = 0; k < ROW_COUNT; ++k) finite = finite && row[k][lane] - row[k][lane] == 0.0;
                    for (int k = 0; k < ROW_COUNT; ++k) out[k * stride + index[lane]] = finite ? row[k][lane] : NOT_A_NUMBER;
                    status[index[lane]] = static_cast<std::int8_t>(finite ? code[lane] : static_cast<std::int64_t>(AM_OUT_OF_RANGE));
                }
            }
        }
    }
}

// A contract that is exercised now is worth its intrinsic value.
AXIOM_FN Vec payoff(const Market<Vec> &m) { return larger(m.c * (m.S - m.K), splat<Vec>(0.0)); }

AXIOM_FN Mask is_exercised(Mask status) { return status == static_cast<std::int64_t>(AM_EXERCISED); }

// Passes the quadrature's type on.
template <class Q> Q type_of(const Q &);

void american_price(const Column *columns, std::size_t n, bool accurate, double *out, std::int8_t *status) {
    american_rows<1>(
        columns, n, accurate, out, 0, status,
        [](const Market<Vec> &m, Mask code, Vec(&row)[1]) __attribute__((always_inline)) {
            row[0] = is_exercised(code) ? payoff(m) : european_price(m);
        },
        [](const auto &quadrature, const Sweeps &sweeps, const Market<Vec> &m, Vec(&row)[1]) __attribute__((always_inline)) {
            using Q = decltype(type_of(quadrature));
            const Premium<Vec> premium = solve_premium<Vec, Q, 0>(quadrature, sweeps, put_rates(m), mirrored(m), m.c);
            row[0] = premium.exercised ? payoff(m) : european_price(m) + m.K * premium.f.at[0];
            return premium.exercised ? status_of<Vec>(AM_EXERCISED) : status_of<Vec>(AM_OK);
        });
}

void american_greeks(const Column *columns, std::size_t n, bool accurate, double *out, std::ptrdiff_t stride, std::int8_t *status) {
    american_rows<ROWS>(
        columns, n, accurate, out, stride, status,
        [](const Market<Vec> &m, Mask code, Vec(&row)[ROWS]) __attribute__((always_inline)) {
            european_greeks(m, row);
            const Mask now = is_exercised(code);
            for (int k = 0; k < ROWS; ++k) row[k] = now ? splat<Vec>(0.0) : row[k];
            row[PRICE] = now ? payoff(m) : row[PRICE];
            row[DELTA] = now ? m.c : row[DELTA];
        },
        [](const auto &quadrature, const Sweeps &sweeps, const Market<Vec> &m, Vec(&row)[ROWS]) __attribute__((always_inline)) {
            european_greeks(m, row);
            return american_greek_rows(quadrature, sweeps, m, row);
        });
}

void american_premium(const Column *columns, std::size_t n, bool accurate, double *out, std::ptrdiff_t stride, std::int8_t *status) {
    american_rows<3>(
        columns, n, accurate, out, stride, status,
        [](const Market<Vec> &m, Mask code, Vec(&row)[3]) __attribute__((always_inline)) {
            Vec european[ROWS];
            european_greeks(m, european);
            const Mask now = is_exercised(code);
            const Vec zero = splat<Vec>(0.0);
            row[0] = now ? payoff(m) - european[PRICE] : zero;
            row[1] = now ? m.c - european[DELTA] : zero;
            row[2] = now ? -european[GAMMA] : zero;
        },
        [](const auto &quadrature, const Sweeps &sweeps, const Market<Vec> &m, Vec(&row)[3]) __attribute__((always_inline)) {
            return american_premium_rows(quadrature, sweeps, m, row);
        });
}

}  // namespace

extern const Kernels KERNELS = {
    AXIOM_TEXT(AXIOM_ISA),
    LANES,
    black_forward,
    black_spot,
    black_greeks,
    implied_vol,
    american_price,
    american_greeks,
    american_premium,
};

}  // namespace AXIOM_ISA
}  // namespace axiom
