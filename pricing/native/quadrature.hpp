// Constants of an American scheme: collocation points, quadrature and the interpolation matrices between them.
//
// With N collocation points in z = sqrt(tau/T) and every integral taken in an angle, all places at which the boundary is
// looked up are fixed fractions of its domain. Interpolation is therefore a product with a constant matrix, computed once
// here in plain baseline code and shared by all instruction sets.
#pragma once

namespace axiom {

// N boundary points, L quadrature points for the boundary equation, P for the premium.
template <int N_, int L_, int P_> struct Quadrature {
    static constexpr int N = N_, L = L_, P = P_;
    double z[N];               // sqrt(tau_i/T): Chebyshev extrema on (0, 1], ascending; the last one is 1
    double sine[L];            // sqrt((tau - u)/tau) at the boundary nodes
    double cosine[L];          // sqrt(u/tau)
    double weight[L];          // of the angle on [0, pi/2]
    double lookup[N][L][N];    // H(z_i cosine_k) from H(z_1 .. z_N), H(0) = 0
    double premium_sine[P];    // sqrt(t/T) at the premium nodes
    double premium_cosine[P];
    double premium_weight[P];  // of the angle on [0, pi/2]
    double premium_lookup[P][N];
    double slope[N];           // dH/dz at z = 1

    Quadrature();
};

using SmallQuadrature = Quadrature<7, 8, 16>;
using MediumQuadrature = Quadrature<16, 24, 40>;
using LargeQuadrature = Quadrature<28, 48, 64>;

extern const SmallQuadrature SMALL_QUADRATURE;
extern const MediumQuadrature MEDIUM_QUADRATURE;
extern const LargeQuadrature LARGE_QUADRATURE;

}  // namespace axiom
