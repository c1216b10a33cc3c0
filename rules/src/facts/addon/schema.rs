//! What an editor is told of an add-on's row.

use serde_json::Value;

use super::read::{AGREE, IF_ABSENT, KINDS, LIFECYCLE, RAISED_BY, UPGRADED_BY, VERIFIED};
use super::{Claim, witnesses};
use crate::cluster::inventory::Workload;
use crate::facts::schema::{
    ADDON_RELEASE, Field, addon_release, day, entries, filled, kernels, list, minor, object, optional,
    required, source, text, truth, words,
};

pub(super) fn addons() -> Value {
    let fields = [
        vec![required(
            "name",
            filled("Its name; a row of this name takes the place of the built-in one.", "calico"),
        )],
        detection(),
        support(),
        rest(),
    ];
    list(
        "Which releases of add-ons fit which minors of Kubernetes, and how they are recognised.",
        object("One add-on.", fields.into_iter().flatten()),
    )
}

/// One more place that tells the version.
fn reading() -> Value {
    let label = words("A label of the workload.", &Workload::LABELS.map(|label| (label, ())));
    object("One more place that tells the version.", [required("label", label)])
}

fn detection() -> Vec<Field> {
    let verified = object(
        "Whether name, kind and image were compared with what its project publishes.",
        [
            required("status", words("Whether somebody has looked.", &VERIFIED)),
            optional("place", source("What was looked at; needed for `verified`.")),
        ],
    );
    vec![
        required("kind", words("What it usually is: a Deployment, a DaemonSet or a StatefulSet.", &KINDS)),
        required("namespace", filled("Where it usually is.", "calico-system")),
        required("resource", filled("What it is usually called.", "calico-node")),
        optional(
            "upgraded_by",
            words(
                "Who upgrades it; people if nothing is said. What kubeadm upgrades with the control plane is only what is in its usual place, and has to fit only the minor that is asked for.",
                &UPGRADED_BY,
            ),
        ),
        required(
            "image_re",
            text(
                "Reads the version from `repository:tag`, in its first group; empty where images do not tell it.",
                r"calico/node:v(\d+\.\d+(?:\.\d+)?)",
            ),
        ),
        optional(
            "container",
            filled("The container to read; every one with such an image if nothing is said.", "calico-node"),
        ),
        witnesses::field(),
        optional("init_containers", truth("Whether init containers are read too; false if nothing is said.")),
        optional(
            "if_absent",
            words("What it means that it is not there; unknown if nothing is said.", &IF_ABSENT),
        ),
        optional("also_read", list("What else tells its version.", reading())),
        optional(
            "agree",
            words("Whether one reading is enough, or all must say the same; any if nothing is said.", &AGREE),
        ),
        optional(
            "digests",
            entries(
                "The releases behind digests, for images without a tag.",
                "",
                addon_release("The release."),
            ),
        ),
        optional("detection", verified),
    ]
}

fn support() -> Vec<Field> {
    let window = object(
        "The minors that some releases fit, where the tables are too coarse.",
        [
            required("version", filled("The releases, by bounds.", ">=3.28.4 <3.29")),
            optional("min_k8s", minor("The oldest minor that they fit.")),
            optional("max_k8s", minor("The newest minor that they fit.")),
            optional("claim", words("What the vendor says by it.", &Claim::WORDS)),
            optional("note", filled("Why.", "a patch raised the floor")),
        ],
    );
    let floors = |description: &str| entries(description, ADDON_RELEASE, minor("The minor."));
    vec![
        optional(
            "min_k8s",
            floors("The oldest minor that each release fits, from the one that is named on."),
        ),
        optional(
            "max_k8s",
            floors("The newest minor that each release fits, from the one that is named on."),
        ),
        optional(
            "no_declared_ceiling",
            truth(
                "That nobody states a newest minor of new releases; needed where there is no max_k8s. Windows may still state those of old ones.",
            ),
        ),
        optional("windows", list("Exceptions from the two tables.", window)),
        required("claim", words("What the vendor says by these tables.", &Claim::WORDS)),
    ]
}

fn rest() -> Vec<Field> {
    let requires = object(
        "What else it asks of a cluster.",
        [
            optional("kernel", kernels("Kernels that it works on.")),
            optional(
                "kernel_since",
                addon_release("The first release that asks for that; all do if nothing is said."),
            ),
            optional(
                "kernel_like",
                list(
                    "What the names of kernels have that are as good whatever their number.",
                    filled("A part of a kernel's release.", ".el8_10"),
                ),
            ),
            optional("kernel_source", source("The page that says so, if that of the window does not.")),
            optional("os_table", truth("That the windows hold for some operating systems only.")),
        ],
    );
    let lifecycle = object(
        "Whether it still gets releases.",
        [
            required("status", words("Whether it does.", &LIFECYCLE)),
            optional("retired_on", filled("Since when it does not.", "2026-03-31")),
            optional("replacement", filled("What takes its place; needed for `retired`.", "gateway-api")),
        ],
    );
    let pin = object(
        "Somebody wants it to stay as it is for a while.",
        [
            required("reason", filled("Why.", "the next release loses our settings")),
            required("by", filled("Who.", "ops")),
            required("until", day("Until which day, that day included.")),
        ],
    );
    vec![
        optional("requires", requires),
        optional(
            "ceiling_raised_by",
            words("What raises its newest minor: a release, or its documentation alone.", &RAISED_BY),
        ),
        optional("lifecycle", lifecycle),
        optional("pinned", truth("Whether `pin` holds; it does where nothing is said.")),
        optional("pin", pin),
        required("source", source("The page that states the windows.")),
        optional("as_of", day("The day somebody looked at that page; the file's if nothing is said.")),
    ]
}
