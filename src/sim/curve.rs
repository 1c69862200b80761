//! Which numbers are node ids: the x of a point on secp256k1. Plugins that read ids as keys refuse all others. Not for secrets.

/// 256 bits, the lowest limb first.
type Number = [u64; 4];

/// The field's prime is 2^256 - `GAP`.
const GAP: u64 = (1 << 32) + 977;

/// Is there a point with this x (32 bytes, the highest first)?
pub(super) fn has_point(x: &[u8]) -> bool {
    let mut number: Number = [0; 4];
    for (limb, bytes) in number.iter_mut().rev().zip(x.chunks(8)) {
        *limb = bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    }
    if is_too_large(&number) {
        return false;
    }
    let cube = multiply(&multiply(&number, &number), &number);
    let (square, carry) = add_small(&cube, 7);
    is_square(&if carry { add_small(&square, GAP).0 } else { square })
}

/// By Euler: to the power of (p - 1) / 2 it is 1. That exponent is 2^255 - 2^31 - 489.
fn is_square(number: &Number) -> bool {
    let exponent: Number = [u64::MAX - (GAP >> 1), u64::MAX, u64::MAX, u64::MAX >> 1];
    let mut power: Number = [1, 0, 0, 0];
    for bit in (0..256).rev() {
        power = multiply(&power, &power);
        if exponent[bit / 64] >> (bit % 64) & 1 == 1 {
            power = multiply(&power, number);
        }
    }
    power == [1, 0, 0, 0]
}

/// The product in the field, in its smallest form.
fn multiply(a: &Number, b: &Number) -> Number {
    let mut wide = [0_u64; 8];
    for (i, x) in a.iter().enumerate() {
        let mut carry = 0;
        for (j, y) in b.iter().enumerate() {
            (wide[i + j], carry) = mul_add(*x, *y, wide[i + j], carry);
        }
        wide[i + 4] = carry;
    }
    // 2^256 is GAP: what lies above comes back that many times.
    let mut low: Number = [wide[0], wide[1], wide[2], wide[3]];
    let mut carry = 0;
    for (limb, high) in low.iter_mut().zip(&wide[4..]) {
        (*limb, carry) = mul_add(*high, GAP, *limb, carry);
    }
    let (again, more) = mul_add(carry, GAP, 0, 0);
    let (mut sum, over) = add_small(&low, again);
    // `carry` is at most GAP, so its product has at most 66 bits.
    let (upper, above) = sum[1].overflowing_add(more);
    sum[1] = upper;
    let mut overflow = over || (above && ripple(&mut sum, 2));
    while overflow || is_too_large(&sum) {
        // Adding GAP and dropping the 257th bit takes the prime away.
        sum = add_small(&sum, GAP).0;
        overflow = false;
    }
    sum
}

/// `a * b + c + d`, which fits into two limbs: the low one and the high one.
#[expect(clippy::cast_possible_truncation, reason = "the halves of 128 bits")]
fn mul_add(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) {
    let wide = u128::from(a) * u128::from(b) + u128::from(c) + u128::from(d);
    (wide as u64, (wide >> 64) as u64)
}

/// The sum without its 257th bit, and that bit.
fn add_small(number: &Number, small: u64) -> (Number, bool) {
    let mut sum = *number;
    let (low, carry) = sum[0].overflowing_add(small);
    sum[0] = low;
    let carry = carry && ripple(&mut sum, 1);
    (sum, carry)
}

/// Adds one at that limb; true if it runs out at the top.
fn ripple(number: &mut Number, from: usize) -> bool {
    for limb in &mut number[from..] {
        let (next, carry) = limb.overflowing_add(1);
        *limb = next;
        if !carry {
            return false;
        }
    }
    true
}

/// Not below the prime.
fn is_too_large(number: &Number) -> bool {
    add_small(number, GAP).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PeerId;

    /// Real nodes of the recordings, and the generator.
    #[test]
    fn real_keys_are_points() {
        for id in [
            "0335bb1d7fa6955e8f69d841a5888d6280fc3389c9a648d229b1997d28acb19ea2",
            "036928e0929f5b170e8dd62057f2709d59ebc9c907221d379b006a9ca46199e306",
            "035199e1b3709814e85268f2b851f0b5ef428a79f91d5697137b2be5b2cf2ed9f8",
            "03dbf5b9c7187c53a0dfba8838741787fe3dadbc75cb921e11f912b9ee49bf8beb",
            "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        ] {
            assert!(has_point(&id.parse::<PeerId>().unwrap().0[1..]), "{id}");
        }
    }

    /// Known of the curve: x = 5 and x = 7 have none, x = 1 to 4 and 6 have one; nor has any number from the prime on.
    #[test]
    fn other_numbers_are_not() {
        let small = |x: u8| [[0; 31].as_slice(), &[x]].concat();
        let points: Vec<u8> = (1..=7).filter(|x| has_point(&small(*x))).collect();
        assert_eq!(points, [1, 2, 3, 4, 6]);
        assert!(!has_point(&[0xff; 32]));
    }
}
