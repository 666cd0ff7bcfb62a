//! Shamir's secret sharing over GF(2^8), in the layout of HashiCorp Vault that sops uses.
//!
//! Owns splitting and combining of byte strings, nothing else: it does not know what a data key is, and it cannot
//! tell a right combination from a wrong one. The field is AES's, modulo x^8+x^4+x^3+x+1 (0x11b). A share is the
//! values of the polynomials, one for each byte of the secret, followed by x (`shamir/shamir.go` of getsops/sops).
//! Arithmetic has no tables and no branches that depend on secrets.

use rand::RngCore;
use rand::rngs::OsRng;
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::secret::SecretBytes;

/// Splits `secret` into `shares` parts, any `threshold` of which give it back. The share at index i has x = i + 1,
/// as sops 3.13 numbers them.
pub(super) fn split(secret: &[u8], shares: usize, threshold: usize) -> Result<Vec<SecretBytes>> {
    if threshold < 2 {
        return Err(Error::new(Kind::Other, "the Shamir threshold has to be at least 2"));
    }
    if threshold > shares {
        return Err(Error::new(
            Kind::Other,
            format!("the Shamir threshold is {threshold}, but there are only {shares} key groups"),
        ));
    }
    let last_x = u8::try_from(shares).map_err(|_| {
        Error::new(Kind::Other, format!("{shares} key groups are too many: at most 255 can share"))
    })?;

    let mut out: Vec<SecretBytes> = (1..=last_x)
        .map(|x| {
            let mut share = Zeroizing::new(vec![0; secret.len() + 1]);
            share[secret.len()] = x;
            share
        })
        .collect();
    let mut polynomial = Zeroizing::new(vec![0; threshold]);
    for (position, byte) in secret.iter().enumerate() {
        polynomial[0] = *byte;
        OsRng.fill_bytes(&mut polynomial[1..]);
        for (share, x) in out.iter_mut().zip(1..=last_x) {
            share[position] = evaluate(&polynomial, x);
        }
    }
    Ok(out)
}

/// Puts a secret together from shares. Too few shares, or shares of different secrets, give bytes without meaning.
pub(super) fn combine(shares: &[SecretBytes]) -> Result<SecretBytes> {
    interpolate(shares, 0)
}

/// The share with number `x` that belongs to these: for a group that nobody here can open.
pub(super) fn share_at(shares: &[SecretBytes], x: u8) -> Result<SecretBytes> {
    let mut values = interpolate(shares, x)?;
    let mut share = Zeroizing::new(Vec::with_capacity(values.len() + 1));
    share.append(&mut values);
    share.push(x);
    Ok(share)
}

/// The values at `x` of the polynomials that go through these shares.
fn interpolate(shares: &[SecretBytes], at: u8) -> Result<SecretBytes> {
    let broken =
        |what: &str| Err(Error::new(Kind::NoDataKey, format!("the Shamir shares do not fit: {what}")));
    let mut points = Vec::with_capacity(shares.len());
    for share in shares {
        match share.split_last() {
            Some((0, _)) => return broken("a share has the number 0"),
            Some((x, _)) if points.iter().any(|(other, _)| other == x) => {
                return broken("two groups hold the same share");
            }
            Some((x, values)) => points.push((*x, values)),
            None => return broken("a share is empty"),
        }
    }
    let length = points.first().map_or(0, |(_, values)| values.len());
    if points.len() < 2 || points.iter().any(|(_, values)| values.len() != length) {
        return broken("it takes at least two, of equal length");
    }

    let mut found = Zeroizing::new(vec![0; length]);
    for (x, values) in &points {
        // Lagrange's basis polynomial.
        let basis = points
            .iter()
            .filter(|(other, _)| other != x)
            .fold(1, |basis, (other, _)| multiply(basis, multiply(at ^ other, invert(x ^ other))));
        for (byte, value) in found.iter_mut().zip(*values) {
            *byte ^= multiply(*value, basis);
        }
    }
    Ok(found)
}

/// The value at `x` of the polynomial with these coefficients, lowest degree first.
fn evaluate(coefficients: &[u8], x: u8) -> u8 {
    coefficients.iter().rev().fold(0, |value, coefficient| multiply(value, x) ^ coefficient)
}

fn multiply(a: u8, b: u8) -> u8 {
    (0..8).rev().fold(0, |product: u8, bit| {
        let reduced = (product << 1) ^ (0x1b & (product >> 7).wrapping_neg());
        reduced ^ (a & (b >> bit & 1).wrapping_neg())
    })
}

/// The multiplicative inverse as a^254; 0 for 0.
fn invert(a: u8) -> u8 {
    // 254 = 2 + 4 + 8 + ... + 128.
    let mut power = a;
    (0..7).fold(1, |product, _| {
        power = multiply(power, power);
        multiply(product, power)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Multiplication as the definition has it: a product of polynomials over GF(2), then the remainder.
    fn multiply_by_definition(a: u8, b: u8) -> u8 {
        let product =
            (0..8).filter(|bit| b >> bit & 1 == 1).fold(0u16, |sum, bit| sum ^ (u16::from(a) << bit));
        let remainder = (8..16)
            .rev()
            .fold(product, |rest, bit| if rest >> bit & 1 == 1 { rest ^ (0x11b << (bit - 8)) } else { rest });
        remainder as u8
    }

    #[test]
    fn the_field_is_that_of_aes() {
        for a in 0..=255 {
            for b in 0..=255 {
                assert_eq!(multiply(a, b), multiply_by_definition(a, b), "{a} * {b}");
            }
            assert_eq!(multiply(a, invert(a)), u8::from(a != 0), "1 / {a}");
        }
        // FIPS 197, section 4.2.
        assert_eq!(multiply(0x57, 0x83), 0xc1);
    }

    /// Made by `shamir.Split` of getsops/sops v3.13.3: three shares, threshold two.
    #[test]
    fn shares_made_by_sops_are_combined() {
        let secret: Vec<u8> = (0..32u8).map(|i| i.wrapping_mul(7).wrapping_add(1)).collect();
        let shares = [
            "7acfdc550d0658dd1de63947e254d264eb7f38cebe946a39f61f18e375dbc94401",
            "f79db2903d60cdf77117bb5c204c1a765e76f116eb94628f17f5f204bee2e7fd02",
            "8c5a61d32d42be1855b1c5559744ab78c471b65ed8949314485a5d590ef5fd6303",
        ]
        .map(|hex| {
            let digit = |i: usize| u8::from_str_radix(&hex[i..i + 2], 16).unwrap();
            SecretBytes::new((0..hex.len()).step_by(2).map(digit).collect())
        });
        for picked in [&[0, 1][..], &[0, 2], &[2, 1], &[2, 0, 1]] {
            let picked: Vec<_> = picked.iter().map(|i| shares[*i].clone()).collect();
            assert_eq!(*combine(&picked).unwrap(), secret);
        }
    }

    #[test]
    fn shares_are_numbered_from_one_in_the_last_byte() {
        let shares = split(&[7; 32], 3, 2).unwrap();
        assert!(shares.iter().all(|share| share.len() == 33));
        assert_eq!(shares.iter().map(|share| share[32]).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn thresholds_that_make_no_sense_are_refused() {
        for (shares, threshold, why) in
            [(3, 1, "at least 2"), (2, 3, "only 2 key groups"), (256, 2, "at most 255")]
        {
            let error = split(&[0; 32], shares, threshold).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn shares_that_do_not_fit_are_refused() {
        let share = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        let cases: [&[SecretBytes]; 6] = [
            &[],
            &[share(&[1, 1])],
            &[share(&[1, 1]), share(&[2, 1])],
            &[share(&[1, 0]), share(&[2, 1])],
            &[share(&[1, 1]), share(&[1, 2, 2])],
            &[share(&[]), share(&[1, 1])],
        ];
        for shares in cases {
            assert_eq!(combine(shares).unwrap_err().kind(), Kind::NoDataKey);
        }
    }

    proptest! {
        #[test]
        fn any_threshold_shares_give_the_secret_back(
            secret in prop::collection::vec(any::<u8>(), 1..40),
            (count, threshold) in (2..8usize).prop_flat_map(|count| (Just(count), 2..=count)),
            order in Just((0..8usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let shares = split(&secret, count, threshold).unwrap();
            let picked: Vec<_> =
                order.into_iter().filter(|i| *i < count).take(threshold).map(|i| shares[i].clone()).collect();
            prop_assert_eq!(&*combine(&picked).unwrap(), &secret);
            prop_assert_eq!(&*combine(&shares).unwrap(), &secret);
            for share in &shares {
                prop_assert_eq!(&share_at(&picked, share[secret.len()]).unwrap(), share);
            }
        }
    }
}
