//! Sizes for people.

/// A number of bytes for people, such as `15.2 GiB`.
pub fn format_bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    let (whole, tenth, unit) = (tenths / 10, tenths % 10, UNITS[unit]);
    match whole {
        0..100 => format!("{whole}.{tenth} {unit}"),
        _ => format!("{whole} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn formats_sizes() {
        for (bytes, text) in [
            (0, "0.0 KiB"),
            (1536, "1.5 KiB"),
            (500 << 20, "500 MiB"),
            (15 * GIB + (GIB >> 2), "15.2 GiB"),
            (5 << 40, "5.0 TiB"),
        ] {
            assert_eq!(format_bytes(bytes), text);
        }
    }
}
