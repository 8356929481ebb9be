// Values that are several options side by side.
//
// Every formula of the kernels is a template on a value type V: `Vec`, a vector of AXIOM_LANES doubles, on the CPU (one
// option per lane), or plain `double` (one option per thread) where the same header is compiled for another device. A
// comparison gives a mask; `mask ? a : b` selects lane by lane, and no function of the headers branches on data.
//
// Everything is static and always inlined: a shared inline symbol compiled for AVX-512 could otherwise be the copy that
// the linker keeps for every processor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define AXIOM_FN static inline __attribute__((always_inline))

namespace axiom {
namespace AXIOM_ISA {

constexpr int LANES = AXIOM_LANES;

typedef double Vec __attribute__((vector_size(sizeof(double) * AXIOM_LANES)));
typedef std::int64_t Mask __attribute__((vector_size(sizeof(std::int64_t) * AXIOM_LANES)));

template <class V> struct Traits;
template <> struct Traits<Vec> {
    using Bits = Mask;
    using Bool = Mask;
};
template <> struct Traits<double> {
    using Bits = std::int64_t;
    using Bool = bool;
};
template <class V> using Bits = typename Traits<V>::Bits;
template <class V> using Bool = typename Traits<V>::Bool;

AXIOM_FN Mask to_bits(Vec x) { return (Mask)x; }
AXIOM_FN Vec from_bits(Mask x) { return (Vec)x; }
AXIOM_FN std::int64_t to_bits(double x) {
    std::int64_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}
AXIOM_FN double from_bits(std::int64_t x) {
    double value;
    std::memcpy(&value, &x, sizeof value);
    return value;
}

template <class V> AXIOM_FN V splat(double x) { return V{} + x; }

// One status code in every lane.
template <class V> AXIOM_FN Bits<V> status_of(std::int64_t code) { return Bits<V>{} + code; }

AXIOM_FN double square_root(double x) { return __builtin_sqrt(x); }
AXIOM_FN Vec square_root(Vec x) {
#if defined(__AVX512F__) && AXIOM_LANES == 8
    return (Vec)_mm512_sqrt_pd((__m512d)x);
#elif defined(__AVX__) && AXIOM_LANES == 4
    return (Vec)_mm256_sqrt_pd((__m256d)x);
#elif defined(__SSE2__) && AXIOM_LANES == 2
    return (Vec)_mm_sqrt_pd((__m128d)x);
#else
    for (int i = 0; i < LANES; ++i) x[i] = __builtin_sqrt(x[i]);
    return x;
#endif
}

template <class V> AXIOM_FN V absolute(V x) { return from_bits(to_bits(x) & INT64_C(0x7fffffffffffffff)); }
template <class V> AXIOM_FN V larger(V a, V b) { return a > b ? a : b; }
template <class V> AXIOM_FN V smaller(V a, V b) { return a < b ? a : b; }
template <class V> AXIOM_FN Bool<V> is_finite(V x) { return absolute(x) <= splat<V>(1.7976931348623157e308); }

AXIOM_FN bool any(bool m) { return m; }
AXIOM_FN bool any(Mask m) {
    std::int64_t all = 0;
    for (int i = 0; i < LANES; ++i) all |= m[i];
    return all != 0;
}

// Lanes i .. i + count of a column; a short block repeats its first value, so that idle lanes compute something harmless.
AXIOM_FN Vec load(const Column &column, std::size_t i, int count) {
    if (column.step == 0) return splat<Vec>(*column.data);
    const double *from = column.data + i;
    Vec x;
    if (count == LANES) {
        std::memcpy(&x, from, sizeof x);
        return x;
    }
    x = splat<Vec>(*from);
    for (int k = 0; k < count; ++k) x[k] = from[k];
    return x;
}

AXIOM_FN void store(double *to, Vec x, int count) {
    if (count == LANES) {
        std::memcpy(to, &x, sizeof x);
        return;
    }
    for (int k = 0; k < count; ++k) to[k] = x[k];
}

AXIOM_FN void store(std::int8_t *to, Mask x, int count) {
    for (int k = 0; k < count; ++k) to[k] = static_cast<std::int8_t>(x[k]);
}

}  // namespace AXIOM_ISA
}  // namespace axiom
