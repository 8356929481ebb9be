// The loops over contracts. Compiled once per instruction set, with AXIOM_ISA and AXIOM_LANES set by the build.
#include "kernels.hpp"

#include "european.hpp"
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

}  // namespace

extern const Kernels KERNELS = {AXIOM_TEXT(AXIOM_ISA), LANES, black_forward, black_spot, black_greeks, implied_vol};

}  // namespace AXIOM_ISA
}  // namespace axiom
