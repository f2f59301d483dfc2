//! How much disk a user gives to the records of others, as people type it: `512MiB`, `2GiB`.

use core::fmt;
use core::str::FromStr;

use starling_core::config::{DISK, DISK_MAX, DISK_MIN};

const EXPECTED: &str = "write a whole number and MiB or GiB, such as 512MiB or 2GiB";
const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// Bytes of disk for the records of others, within what a holder can work with. Shown as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HoldCap(u64);

impl HoldCap {
    /// What a holder takes that was told nothing.
    pub(crate) const DEFAULT: Self = Self(DISK);

    /// The same in bytes.
    pub(crate) const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for HoldCap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = match (text.strip_suffix("MiB"), text.strip_suffix("GiB")) {
            (Some(number), _) => (number, MIB),
            (_, Some(number)) => (number, GIB),
            _ => return Err(EXPECTED.to_owned()),
        };
        if number.is_empty() || !number.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(EXPECTED.to_owned());
        }
        // More digits than a number of 64 bits has are more than the bound as well.
        let bytes = number.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(unit);
        let (least, most) = (Self(DISK_MIN), Self(DISK_MAX));
        match bytes {
            0 => Err(format!(
                "each peer that others can dial holds something for them, as they do for it: give {least} at least"
            )),
            few if few < least.0 => {
                Err(format!("give {least} at least: in less, one flood pushes out what people left here"))
            }
            many if many > most.0 => {
                Err(format!("give {most} at most: finding anything in more takes over 1 GiB of memory"))
            }
            bytes => Ok(Self(bytes)),
        }
    }
}

impl fmt::Display for HoldCap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(GIB) {
            write!(f, "{}GiB", self.0.div_euclid(GIB))
        } else {
            write!(f, "{}MiB", self.0.div_euclid(MIB))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_round_trip() {
        for (written, bytes) in
            [("8MiB", 8 * MIB), ("256MiB", DISK), ("1GiB", GIB), ("4GiB", 4 * GIB), ("1500MiB", 1500 * MIB)]
        {
            let cap: HoldCap = written.parse().unwrap();
            assert_eq!((cap.bytes(), cap.to_string().as_str()), (bytes, written));
        }
        assert_eq!("1024MiB".parse::<HoldCap>().unwrap().to_string(), "1GiB");
        assert_eq!(HoldCap::DEFAULT.to_string(), "256MiB");
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for written in [
            "", "MiB", "GiB", "256", "2G", "2GB", "2gib", "2 GiB", "1.5GiB", "-1GiB", "+1GiB", "0x8MiB",
            "8MiBs", "٢GiB",
        ] {
            assert_eq!(written.parse::<HoldCap>().unwrap_err(), EXPECTED, "{written}");
        }
    }

    #[test]
    fn too_little_and_too_much_are_refused_with_a_reason() {
        for (written, begins) in [
            ("0MiB", "each peer"),
            ("00GiB", "each peer"),
            ("7MiB", "give 8MiB at least"),
            ("4097MiB", "give 4GiB at most"),
            ("5GiB", "give 4GiB at most"),
            ("99999999999999999999999GiB", "give 4GiB at most"),
            ("18446744073709551615GiB", "give 4GiB at most"),
        ] {
            let refused = written.parse::<HoldCap>().unwrap_err();
            assert!(refused.starts_with(begins), "{written}: {refused}");
        }
    }
}
