// The table of kernels that each instruction set exports, and the constants they share.
#pragma once

#include <cstddef>
#include <cstdint>

namespace axiom {

// An input column: n values, or one value that stands for all of them (step 0).
struct Column {
    const double *data;
    std::ptrdiff_t step;
};

// Outputs with several rows are written row by row: row i starts at out + i * stride.
struct Kernels {
    const char *name;
    int lanes;
    // columns: forward, strike, total_vol, discount, sign
    void (*black_forward)(const Column *columns, std::size_t n, double *out);
    // columns of all spot forms: spot, strike, expiry_years, rate, carry_yield, vol, sign
    void (*black_spot)(const Column *columns, std::size_t n, double *out);
    void (*black_greeks)(const Column *columns, std::size_t n, double *out, std::ptrdiff_t stride);
    // columns: price, forward, strike, expiry_years, discount, sign
    void (*implied_vol)(const Column *columns, std::size_t n, double *out, std::int8_t *status);
    // columns of the spot forms
    void (*american_price)(const Column *columns, std::size_t n, bool accurate, double *out, std::int8_t *status);
    void (*american_greeks)(const Column *columns, std::size_t n, bool accurate, double *out, std::ptrdiff_t stride, std::int8_t *status);
    // three rows: premium, its first and its second spot derivative
    void (*american_premium)(const Column *columns, std::size_t n, bool accurate, double *out, std::ptrdiff_t stride, std::int8_t *status);
};

#if defined(AXIOM_X86_64)
namespace x86_64_v2 { extern const Kernels KERNELS; }
namespace x86_64_v3 { extern const Kernels KERNELS; }
namespace x86_64_v4 { extern const Kernels KERNELS; }
#else
namespace generic { extern const Kernels KERNELS; }
#endif

}  // namespace axiom
