//! Where a model runs: on the CPU, or on one or several GPUs.
//!
//! mistral.rs 0.8.1 ignores the device of its builders for text and vision models and uses the
//! first GPU; its loaders do accept a device. Its automatic device map uses all GPUs of the
//! process, and the CPU for what does not fit, so the map is always explicit here.

use mistralrs::{
    DeviceMapSetting, ModelDType,
    core::{DeviceLayerMapMetadata, DeviceMapMetadata, MemoryUsage},
};
use stockade_server_config::model_files::{Precision, available_memory};

use super::{Device, model_dir::LoadError};

/// The devices of a model, which exist.
pub(super) struct Placement {
    /// `cpu`, `cuda:1`, or `cuda:0,cuda:1`.
    pub(super) name: String,
    /// The devices with their numbers; the first one has all that is not a layer.
    devices: Vec<(usize, mistralrs::Device)>,
}

impl Placement {
    /// Opens the devices of a setting.
    ///
    /// # Errors
    /// Returns a [`LoadError`] if a GPU is missing, or this build does not support GPUs.
    pub(super) fn open(device: &Device) -> Result<Self, LoadError> {
        check(device)?;
        match device {
            Device::Auto if has_gpu() => Self::on_gpus(&[0]),
            Device::Auto | Device::Cpu => Ok(Self::on_cpu_only()),
            Device::Cuda(numbers) => Self::on_gpus(numbers),
        }
    }

    fn on_cpu_only() -> Self {
        Self {
            name: "cpu".to_owned(),
            devices: vec![(0, mistralrs::Device::Cpu)],
        }
    }

    fn on_gpus(numbers: &[u16]) -> Result<Self, LoadError> {
        let open = |number: &u16| {
            let number = usize::from(*number);
            let device = mistralrs::Device::new_cuda(number).map_err(|error| {
                let error = error.to_string();
                let first = error.lines().next().unwrap_or_default();
                format!(
                    "cannot use the GPU cuda:{number}: {first}; `nvidia-smi -L` lists the GPUs, \
                     and CUDA_VISIBLE_DEVICES selects and numbers those of a process"
                )
            })?;
            Ok((number, device))
        };
        let names: Vec<_> = numbers.iter().map(|n| format!("cuda:{n}")).collect();
        Ok(Self {
            name: names.join(","),
            devices: numbers.iter().map(open).collect::<Result<_, LoadError>>()?,
        })
    }

    /// Whether the model runs on the CPU.
    pub(super) fn is_cpu(&self) -> bool {
        self.first().is_cpu()
    }

    /// The device of all that is not a layer.
    pub(super) fn first(&self) -> &mistralrs::Device {
        &self.devices[0].1
    }

    /// The type of the weights. Explicit, because the crate's default runs `nvidia-smi` and panics
    /// without it.
    pub(super) fn dtype(&self) -> ModelDType {
        match self.is_cpu() {
            true => ModelDType::F32,
            false => ModelDType::BF16,
        }
    }

    /// The precision of [`dtype`](Self::dtype).
    pub(super) fn precision(&self) -> Precision {
        match self.is_cpu() {
            true => Precision::Single,
            false => Precision::Half,
        }
    }

    /// Divides the layers of a model evenly between the devices.
    pub(super) fn device_map(&self, layers: usize) -> DeviceMapSetting {
        let map = match self.devices.as_slice() {
            // All of them, however many there are.
            [(ordinal, _)] => vec![(*ordinal, usize::MAX)],
            devices => {
                let numbers = devices.iter().map(|(ordinal, _)| *ordinal);
                numbers.zip(shares(layers, devices.len())).collect()
            }
        };
        let layers = map
            .into_iter()
            .map(|(ordinal, layers)| DeviceLayerMapMetadata { ordinal, layers });
        DeviceMapSetting::Map(DeviceMapMetadata::from_num_device_layers(layers.collect()))
    }

    /// The memory that is available on all devices together, in bytes; `None` if it is unknown.
    pub(super) fn available_memory(&self) -> Option<u64> {
        if self.is_cpu() {
            return available_memory().map(|memory| memory.bytes);
        }
        let bytes = |(_, device): &(usize, mistralrs::Device)| {
            let bytes = MemoryUsage.get_memory_available(device).ok()?;
            u64::try_from(bytes).ok()
        };
        self.devices.iter().map(bytes).sum()
    }
}

/// Divides `layers` into parts that differ by at most one.
fn shares(layers: usize, parts: usize) -> impl Iterator<Item = usize> {
    let end = move |part| layers * part / parts;
    (0..parts).map(move |part| end(part + 1) - end(part))
}

/// Checks whether this build supports the devices of a setting.
///
/// # Errors
/// Returns a [`LoadError`] that names the missing feature.
pub(super) fn check(device: &Device) -> Result<(), LoadError> {
    match device {
        Device::Cuda(_) if !cfg!(feature = "cuda") => Err(
            "this build of stockade-server has no support for GPUs: build it with --features \
             cuda, or set device = \"cpu\""
                .to_owned(),
        ),
        _ => Ok(()),
    }
}

#[cfg(feature = "cuda")]
fn has_gpu() -> bool {
    match mistralrs::best_device(false) {
        Ok(device) => device.is_cuda(),
        Err(error) => {
            tracing::warn!(%error, "cannot use the GPU; the model runs on the CPU");
            false
        }
    }
}

#[cfg(not(feature = "cuda"))]
fn has_gpu() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divides_layers_evenly() {
        let parts = |layers, parts| shares(layers, parts).collect::<Vec<_>>();
        assert_eq!(parts(28, 2), [14, 14]);
        assert_eq!(parts(28, 3), [9, 9, 10]);
        assert_eq!(parts(2, 3), [0, 1, 1]);
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_names_the_feature() {
        let error = Placement::open(&Device::Cuda(vec![1])).err().unwrap();
        assert!(error.contains("--features cuda"), "{error}");
        let auto = Placement::open(&Device::Auto).unwrap();
        assert_eq!(auto.name, "cpu");
        assert!(auto.is_cpu());
    }
}
