//! Volume plugins that a minor no longer has.

use std::collections::BTreeSet;

use super::hand::Hand;
use super::{Section, minor, schema, source};
use crate::words::version::Minor;

/// A volume plugin that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumePlugin {
    /// Its field in the source of a volume, such as `gitRepo`.
    pub plugin: String,
    /// The provisioner of StorageClasses that make such volumes.
    pub provisioner: Option<String>,
    /// The driver that its volumes are handed over to.
    pub csi_driver: Option<String>,
    /// The first minor where it is off unless a feature gate brings it back.
    pub off: Option<Minor>,
    /// The first minor that does not have it, if there is one.
    pub removed: Option<Minor>,
    /// The first minor whose kubeadm does not mount its drivers into kube-controller-manager.
    pub unmounted: Option<Minor>,
    /// Where that is said.
    pub source: String,
}

/// Every volume plugin that is known to go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VolumePlugins(pub Vec<VolumePlugin>);

impl Section for VolumePlugins {
    const KEY: &'static str = "volume_plugins";

    fn read(hand: &Hand<'_>) -> Option<Self> {
        let rows: Vec<Option<VolumePlugin>> = hand.list()?.iter().map(volume_plugin).collect();
        rows.into_iter().collect::<Option<_>>().map(Self)
    }

    fn forgotten(&self, later: &Self) -> Vec<String> {
        let names = |all: &Self| all.0.iter().map(|it| it.plugin.clone()).collect::<BTreeSet<_>>();
        names(self).difference(&names(later)).cloned().collect()
    }

    fn schema() -> serde_json::Value {
        use schema::{list, minor, object, optional, required, source, text};
        let row = [
            required("plugin", text("Its field in the source of a volume.", "gitRepo")),
            optional("provisioner", text("That of StorageClasses which make them.", "kubernetes.io/rbd")),
            optional("csi_driver", text("The driver that has its volumes.", "pxd.portworx.com")),
            optional("off_by_default", minor("The first minor where a feature gate must bring it back.")),
            optional("removed", minor("The first minor that does not have it.")),
            optional(
                "unmounted",
                minor(
                    "The first minor whose kubeadm does not mount its drivers into kube-controller-manager.",
                ),
            ),
            required("source", source("The page that says so.")),
        ];
        list("Volume plugins that a minor no longer has.", object("One of them.", row))
    }
}

fn volume_plugin(hand: &Hand<'_>) -> Option<VolumePlugin> {
    let fields = hand.fields()?;
    let text = |hand: &Hand<'_>| hand.text().map(str::to_owned);
    let plugin = fields.required("plugin").and_then(|hand| text(&hand));
    let provisioner = fields.optional_as("provisioner", text);
    let csi_driver = fields.optional_as("csi_driver", text);
    let off = fields.optional_as("off_by_default", minor);
    let removed = fields.optional_as("removed", minor);
    let unmounted = fields.optional_as("unmounted", minor);
    let source = fields.required("source").and_then(|hand| source(&hand));
    let says_nothing = removed == Some(None) && unmounted == Some(None);
    if says_nothing {
        fields.hand().wrong("the field removed, or unmounted");
    }
    fields.finish();
    if says_nothing {
        return None;
    }
    Some(VolumePlugin {
        plugin: plugin?,
        provisioner: provisioner?,
        csi_driver: csi_driver?,
        off: off?,
        removed: removed?,
        unmounted: unmounted?,
        source: source?,
    })
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
