//! Detection of RSA keys with the ROCA weakness (CVE-2017-15361).

/// The primes of the published fingerprint. The faulty library generated primes of the form
/// `k * M + (65537^a mod M)`, where `M` is a product of small primes that include these.
const PRIMES: [u16; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];
const GENERATOR: u32 = 65_537;

/// Returns whether a modulus has the fingerprint: modulo each of the primes, it is a power of 65537
/// ("The Return of Coppersmith's Attack", Nemec et al., 2017, section 2.2). The false positive rate
/// is 2^-27.
pub(crate) fn has_fingerprint(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|prime| {
        let prime = u32::from(*prime);
        let residue = modulus
            .iter()
            .fold(0, |residue, byte| (residue << 8 | u32::from(*byte)) % prime);
        is_power(residue, prime)
    })
}

/// Returns whether the residue is a power of the generator.
fn is_power(residue: u32, prime: u32) -> bool {
    let mut power = 1;
    loop {
        if power == residue {
            return true;
        }
        power = power * (GENERATOR % prime) % prime;
        if power == 1 {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_powers_of_the_generator() {
        // 65537 is 2 modulo 3 and 5, a primitive root of both; it is 10 modulo 11, with the powers
        // 10 and 1.
        let powers = |prime| {
            (0..prime)
                .filter(|n| is_power(*n, prime))
                .collect::<Vec<_>>()
        };
        assert_eq!(powers(3), [1, 2]);
        assert_eq!(powers(5), [1, 2, 3, 4]);
        assert_eq!(powers(11), [1, 10]);
    }

    // FA14
    #[test]
    fn only_powers_of_the_generator_have_the_fingerprint() {
        assert!(has_fingerprint(&GENERATOR.to_be_bytes()));
        assert!(has_fingerprint(&u64::from(GENERATOR).pow(3).to_be_bytes()));
        for offset in [2, 4, 6, 8, 10] {
            let other = (GENERATOR + offset).to_be_bytes();
            assert!(!has_fingerprint(&other), "{offset}");
        }
    }
}
