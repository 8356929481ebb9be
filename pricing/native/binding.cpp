// The Python module pricing._native: pointers in, kernels out. Shapes and types were checked by pricing/backend.py; what is
// checked again here is only what would read or write outside an array.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <atomic>
#include <string>
#include <vector>

#include "kernels.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using axiom::Column;
using axiom::Kernels;

// 0-d or 1-d; one element stands for every contract.
using Input = nb::ndarray<const double, nb::c_contig, nb::device::cpu>;
using Output = nb::ndarray<double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Rows = nb::ndarray<double, nb::ndim<2>, nb::device::cpu>;
using StatusOutput = nb::ndarray<std::int8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// Best first.
std::vector<const Kernels *> supported_kernels() {
    std::vector<const Kernels *> found;
#if defined(AXIOM_X86_64)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4")) found.push_back(&axiom::x86_64_v4::KERNELS);
    if (__builtin_cpu_supports("x86-64-v3")) found.push_back(&axiom::x86_64_v3::KERNELS);
    if (__builtin_cpu_supports("x86-64-v2")) found.push_back(&axiom::x86_64_v2::KERNELS);
    if (found.empty()) throw std::runtime_error("this processor lacks x86-64-v2 (SSE4.2)");
#else
    found.push_back(&axiom::generic::KERNELS);
#endif
    return found;
}

const std::vector<const Kernels *> &kernels_here() {
    static const std::vector<const Kernels *> found = supported_kernels();
    return found;
}

std::atomic<const Kernels *> chosen{nullptr};

const Kernels &kernels() { return *chosen.load(std::memory_order_relaxed); }

std::vector<std::string> supported_isas() {
    std::vector<std::string> names;
    for (const Kernels *k : kernels_here()) names.emplace_back(k->name);
    return names;
}

void force_isa(const std::string &name) {
    for (const Kernels *k : kernels_here())
        if (name == k->name) {
            chosen.store(k, std::memory_order_relaxed);
            return;
        }
    throw nb::value_error(("instruction set not supported here: " + name).c_str());
}

template <std::size_t N> std::array<Column, N> columns_of(const std::array<const Input *, N> &inputs, std::size_t n) {
    std::array<Column, N> columns;
    for (std::size_t i = 0; i < N; ++i) {
        const std::size_t size = inputs[i]->size();
        if (size != 1 && size != n) throw nb::value_error("an input has neither one value nor one per contract");
        columns[i] = {inputs[i]->data(), size == 1 ? 0 : 1};
    }
    return columns;
}

std::ptrdiff_t row_stride(const Rows &out, std::size_t rows) {
    if (out.shape(0) != rows || (out.shape(1) > 1 && out.stride(1) != 1)) throw nb::value_error("out needs contiguous rows");
    return out.stride(0);
}

void black_forward(const Input &forward, const Input &strike, const Input &total_vol, const Input &discount, const Input &sign,
                   Output out) {
    const std::size_t n = out.size();
    const auto columns = columns_of<5>({&forward, &strike, &total_vol, &discount, &sign}, n);
    double *to = out.data();
    nb::gil_scoped_release release;
    kernels().black_forward(columns.data(), n, to);
}

void black_spot(const Input &spot, const Input &strike, const Input &expiry_years, const Input &rate, const Input &carry_yield,
                const Input &vol, const Input &sign, Output out) {
    const std::size_t n = out.size();
    const auto columns = columns_of<7>({&spot, &strike, &expiry_years, &rate, &carry_yield, &vol, &sign}, n);
    double *to = out.data();
    nb::gil_scoped_release release;
    kernels().black_spot(columns.data(), n, to);
}

void black_greeks(const Input &spot, const Input &strike, const Input &expiry_years, const Input &rate, const Input &carry_yield,
                  const Input &vol, const Input &sign, Rows out) {
    const std::size_t n = out.shape(1);
    const auto columns = columns_of<7>({&spot, &strike, &expiry_years, &rate, &carry_yield, &vol, &sign}, n);
    const std::ptrdiff_t stride = row_stride(out, 14);
    double *to = out.data();
    nb::gil_scoped_release release;
    kernels().black_greeks(columns.data(), n, to, stride);
}

void implied_vol(const Input &price, const Input &forward, const Input &strike, const Input &expiry_years, const Input &discount,
                 const Input &sign, Output out, StatusOutput status) {
    const std::size_t n = out.size();
    if (status.size() != n) throw nb::value_error("status and out differ in length");
    const auto columns = columns_of<6>({&price, &forward, &strike, &expiry_years, &discount, &sign}, n);
    double *to = out.data();
    std::int8_t *status_to = status.data();
    nb::gil_scoped_release release;
    kernels().implied_vol(columns.data(), n, to, status_to);
}

void american_price(const Input &spot, const Input &strike, const Input &expiry_years, const Input &rate, const Input &carry_yield,
                    const Input &vol, const Input &sign, bool accurate, Output out, StatusOutput status) {
    const std::size_t n = out.size();
    if (status.size() != n) throw nb::value_error("status and out differ in length");
    const auto columns = columns_of<7>({&spot, &strike, &expiry_years, &rate, &carry_yield, &vol, &sign}, n);
    double *to = out.data();
    std::int8_t *status_to = status.data();
    nb::gil_scoped_release release;
    kernels().american_price(columns.data(), n, accurate, to, status_to);
}

void american_greeks(const Input &spot, const Input &strike, const Input &expiry_years, const Input &rate, const Input &carry_yield,
                     const Input &vol, const Input &sign, bool accurate, Rows out, StatusOutput status) {
    const std::size_t n = out.shape(1);
    if (status.size() != n) throw nb::value_error("status and out differ in length");
    const auto columns = columns_of<7>({&spot, &strike, &expiry_years, &rate, &carry_yield, &vol, &sign}, n);
    const std::ptrdiff_t stride = row_stride(out, 14);
    double *to = out.data();
    std::int8_t *status_to = status.data();
    nb::gil_scoped_release release;
    kernels().american_greeks(columns.data(), n, accurate, to, stride, status_to);
}

void american_premium(const Input &spot, const Input &strike, const Input &expiry_years, const Input &rate, const Input &carry_yield,
                      const Input &vol, const Input &sign, bool accurate, Rows out, StatusOutput status) {
    const std::size_t n = out.shape(1);
    if (status.size() != n) throw nb::value_error("status and out differ in length");
    const auto columns = columns_of<7>({&spot, &strike, &expiry_years, &rate, &carry_yield, &vol, &sign}, n);
    const std::ptrdiff_t stride = row_stride(out, 3);
    double *to = out.data();
    std::int8_t *status_to = status.data();
    nb::gil_scoped_release release;
    kernels().american_premium(columns.data(), n, accurate, to, stride, status_to);
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "Pricing kernels: one set of C++ headers, compiled once per instruction set.";
    chosen.store(kernels_here().front());
    m.def("supported_isas", &supported_isas, "Instruction sets that this processor runs and this build holds, best first.");
    m.def("isa", [] { return std::string(kernels().name); }, "The instruction set in use.");
    m.def("lanes", [] { return kernels().lanes; }, "Contracts computed side by side.");
    m.def("force_isa", &force_isa, "name"_a, "Use this instruction set from now on.");
    m.def("black_forward", &black_forward, "forward"_a, "strike"_a, "total_vol"_a, "discount"_a, "sign"_a,
          nb::kw_only(), "out"_a);
    m.def("black_spot", &black_spot, "spot"_a, "strike"_a, "expiry_years"_a, "rate"_a, "carry_yield"_a, "vol"_a, "sign"_a,
          nb::kw_only(), "out"_a);
    m.def("black_greeks", &black_greeks, "spot"_a, "strike"_a, "expiry_years"_a, "rate"_a, "carry_yield"_a, "vol"_a, "sign"_a,
          nb::kw_only(), "out"_a);
    m.def("implied_vol", &implied_vol, "price"_a, "forward"_a, "strike"_a, "expiry_years"_a, "discount"_a, "sign"_a,
          nb::kw_only(), "out"_a, "status"_a);
    m.def("american_price", &american_price, "spot"_a, "strike"_a, "expiry_years"_a, "rate"_a, "carry_yield"_a, "vol"_a, "sign"_a,
          nb::kw_only(), "accurate"_a, "out"_a, "status"_a);
    m.def("american_greeks", &american_greeks, "spot"_a, "strike"_a, "expiry_years"_a, "rate"_a, "carry_yield"_a, "vol"_a, "sign"_a,
          nb::kw_only(), "accurate"_a, "out"_a, "status"_a);
    m.def("american_premium", &american_premium, "spot"_a, "strike"_a, "expiry_years"_a, "rate"_a, "carry_yield"_a, "vol"_a, "sign"_a,
          nb::kw_only(), "accurate"_a, "out"_a, "status"_a);
}
