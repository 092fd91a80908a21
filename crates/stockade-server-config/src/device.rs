//! The devices that run a model.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Error};

/// The devices that run a model: `"auto"`, `"cpu"`, `"cuda"`, `"cuda:1"`, or a list of GPUs as
/// `["cuda:0", "cuda:1"]` or `"cuda:0,cuda:1"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceConfig {
    /// The first GPU if the build supports CUDA and the machine has one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// GPUs by their numbers, which are distinct; never empty. The layers of the model are divided
    /// between several.
    Cuda(Vec<u16>),
}

impl std::str::FromStr for DeviceConfig {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            text => Self::gpus(text.split(',').map(str::trim)),
        }
    }
}

impl DeviceConfig {
    fn gpus<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut numbers = Vec::new();
        for name in names {
            let number = match name.strip_prefix("cuda") {
                Some("") => Some(0),
                Some(rest) => rest.strip_prefix(':').and_then(|text| text.parse().ok()),
                None => None,
            };
            let number = number.ok_or_else(|| {
                format!(
                    "{name:?} is no device: use \"auto\", \"cpu\", \"cuda\", \"cuda:1\" or \
                     [\"cuda:0\", \"cuda:1\"]"
                )
            })?;
            if numbers.contains(&number) {
                return Err(format!("the GPU cuda:{number} occurs twice"));
            }
            numbers.push(number);
        }
        match numbers.is_empty() {
            true => Err("the list of devices is empty: use \"auto\" or \"cuda\"".to_owned()),
            false => Ok(Self::Cuda(numbers)),
        }
    }
}

impl fmt::Display for DeviceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(numbers) => {
                let names: Vec<_> = numbers.iter().map(|n| format!("cuda:{n}")).collect();
                f.write_str(&names.join(","))
            }
        }
    }
}

impl<'de> Deserialize<'de> for DeviceConfig {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "a device, such as \"cuda:0\", or a list of GPUs"
        )]
        enum Names {
            One(String),
            Several(Vec<String>),
        }

        match Names::deserialize(deserializer)? {
            Names::One(name) => name.parse(),
            Names::Several(names) => Self::gpus(names.iter().map(String::as_str)),
        }
        .map_err(D::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn parses_devices() {
        for (text, device, shown) in [
            ("auto", DeviceConfig::Auto, "auto"),
            ("cpu", DeviceConfig::Cpu, "cpu"),
            ("cuda", DeviceConfig::Cuda(vec![0]), "cuda:0"),
            ("cuda:1", DeviceConfig::Cuda(vec![1]), "cuda:1"),
            (
                "cuda:2, cuda:0",
                DeviceConfig::Cuda(vec![2, 0]),
                "cuda:2,cuda:0",
            ),
        ] {
            assert_eq!(text.parse::<DeviceConfig>().unwrap(), device);
            assert_eq!(device.to_string(), shown);
        }
    }

    #[test]
    fn refuses_unknown_devices() {
        for (text, reason) in [
            ("gpu", "\"gpu\" is no device"),
            ("cuda:", "is no device"),
            ("cuda:x", "is no device"),
            ("cuda0", "is no device"),
            ("cuda,cpu", "\"cpu\" is no device"),
            ("cuda:1,cuda:1", "cuda:1 occurs twice"),
            ("", "is no device"),
        ] {
            let error = text.parse::<DeviceConfig>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let error = DeviceConfig::gpus([].into_iter()).unwrap_err();
        assert!(error.contains("is empty"), "{error}");
    }
}
