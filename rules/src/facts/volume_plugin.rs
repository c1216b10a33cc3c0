//! Volume plugins that a minor no longer has.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Section;
use super::text::{As, Filled, Lack, Row, Rows, Source};
use crate::words::version::Minor;

/// A volume plugin that is removed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct VolumePlugin {
    /// Its field in the source of a volume.
    #[serde(with = "As::<Filled>")]
    #[schemars(example = &"gitRepo")]
    pub plugin: String,
    /// The provisioner of StorageClasses that make such volumes.
    #[serde(default, with = "As::<Filled>")]
    #[schemars(example = &"kubernetes.io/rbd")]
    pub provisioner: Option<String>,
    /// The driver that its volumes are handed over to.
    #[serde(default, with = "As::<Filled>")]
    #[schemars(example = &"pxd.portworx.com")]
    pub csi_driver: Option<String>,
    /// The first minor where it is off unless a feature gate brings it back.
    #[serde(rename = "off_by_default")]
    pub off: Option<Minor>,
    /// The first minor that does not have it, if there is one.
    pub removed: Option<Minor>,
    /// The first minor whose kubeadm does not mount its drivers into kube-controller-manager.
    pub unmounted: Option<Minor>,
    /// The page that says so.
    #[serde(with = "As::<Source>")]
    pub source: String,
}

/// Volume plugins that a minor no longer has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub struct VolumePlugins(#[serde(with = "Rows::<VolumePlugin>")] pub Vec<VolumePlugin>);

impl Section for VolumePlugins {
    const KEY: &'static str = "volume_plugins";

    fn forgotten(&self, later: &Self) -> Vec<String> {
        let names = |all: &Self| all.0.iter().map(|it| it.plugin.clone()).collect::<BTreeSet<_>>();
        names(self).difference(&names(later)).cloned().collect()
    }
}

impl Row for VolumePlugin {
    fn once(&self) -> Option<String> {
        Some(format!("one row for {}", self.plugin))
    }

    fn lacks(&self) -> Option<Lack> {
        let says_something = self.removed.is_some() || self.unmounted.is_some();
        (!says_something).then(|| (None, "the field removed, or unmounted".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Matrix;
    use crate::words::version::Minor;

    #[test]
    fn each_plugin_goes_with_its_minor() {
        let known = Matrix::built_in().volume_plugins.value;
        let goes = |it: &super::VolumePlugin| it.removed.or(it.unmounted).map_or(0, |minor| minor.minor);
        let found: Vec<_> = known.0.iter().map(|it| (it.plugin.as_str(), goes(it))).collect();
        let expected = [
            ("scaleIO", 22),
            ("flocker", 25),
            ("quobyte", 25),
            ("storageos", 25),
            ("glusterfs", 26),
            ("cephfs", 31),
            ("rbd", 31),
            ("gitRepo", 36),
            ("portworxVolume", 36),
            ("flexVolume", 36),
        ];
        assert_eq!(found, expected);
        let off: Vec<_> = known.0.iter().filter_map(|it| it.off).collect();
        assert_eq!(off, [Minor { major: 1, minor: 33 }]);
    }

    #[test]
    fn a_file_that_forgets_a_plugin_is_refused() {
        let row = "{plugin: x, removed: \"1.36\", source: \"https://example.com/x\"}";
        let text = format!("schema: 2\nas_of: \"2026-11-21\"\nvolume_plugins: [{row}]\n");
        let told = Matrix::load(&[("mine.yaml", &text)]).unwrap_err()[0].to_string();
        assert!(told.contains("10 are left out, such as cephfs"), "{told}");
    }

    #[test]
    fn a_row_that_cannot_be_read_is_told_whole() {
        let row = "{plugin: x, provisioner: 1, off_by_default: soon, removed: \"1.36\"}";
        let text = format!("schema: 2\nas_of: \"2026-11-21\"\nvolume_plugins: [{row}]\n");
        let told = Matrix::load(&[("mine.yaml", &text)]).unwrap_err();
        let told: Vec<String> = told.iter().map(ToString::to_string).collect();
        let about: Vec<_> = told.iter().filter_map(|text| text.split(": ").nth(1)).collect();
        let row = "volume_plugins[0]";
        let fields = [row.to_owned(), format!("{row}.provisioner"), format!("{row}.off_by_default")];
        assert_eq!(about, fields, "{told:#?}");
    }
}
