//! The version skew policy of Kubernetes: how far apart components may run.
//!
//! Source: <https://kubernetes.io/releases/version-skew-policy/>.

use crate::words::version::Minor;

/// How many minors a kubelet may be behind the newest API server.
pub const KUBELET_BEHIND_MAX: i64 = 3;
/// The same for kubelets before [`KUBELET_WIDER_SINCE`].
pub const OLD_KUBELET_BEHIND_MAX: i64 = 2;
/// The first kubelet that may be three minors behind.
pub const KUBELET_WIDER_SINCE: Minor = Minor { major: 1, minor: 25 };
/// How many minors API servers may be apart.
pub const API_SERVERS_APART_MAX: i64 = 1;
/// How many minors a controller manager, of the cloud or not, or scheduler may be behind the newest API server.
pub const CONTROLLER_BEHIND_MAX: i64 = 1;

/// How a component stands to an API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skew {
    /// Within the policy.
    Supported,
    /// It is newer than the API server, which is never allowed.
    Ahead,
    /// It is too many minors behind.
    TooOld,
    /// Another major version: nothing is known about such a pair.
    OtherMajor,
}

/// A kubelet beside an API server.
#[must_use]
pub fn kubelet(kubelet: Minor, api_server: Minor) -> Skew {
    let behind_max = if kubelet < KUBELET_WIDER_SINCE { OLD_KUBELET_BEHIND_MAX } else { KUBELET_BEHIND_MAX };
    behind(kubelet, api_server, behind_max)
}

/// A kube-proxy beside an API server: the same as for kubelets.
#[must_use]
pub fn kube_proxy(proxy: Minor, api_server: Minor) -> Skew {
    kubelet(proxy, api_server)
}

/// A kube-proxy beside the kubelet of its node, whichever is newer.
#[must_use]
pub fn beside_kubelet(proxy: Minor, kubelet: Minor) -> Skew {
    let apart_max = if proxy < KUBELET_WIDER_SINCE { OLD_KUBELET_BEHIND_MAX } else { KUBELET_BEHIND_MAX };
    match proxy.ahead_of(kubelet) {
        None => Skew::OtherMajor,
        Some(apart) if apart.abs() <= apart_max => Skew::Supported,
        Some(_) => Skew::TooOld,
    }
}

/// A controller manager, of the cloud or not, or a scheduler beside an API server.
#[must_use]
pub fn controller(controller: Minor, api_server: Minor) -> Skew {
    behind(controller, api_server, CONTROLLER_BEHIND_MAX)
}

/// Two API servers of one cluster, whichever is newer.
#[must_use]
pub fn api_servers(one: Minor, other: Minor) -> Skew {
    match one.ahead_of(other) {
        None => Skew::OtherMajor,
        Some(apart) if apart.abs() <= API_SERVERS_APART_MAX => Skew::Supported,
        Some(_) => Skew::TooOld,
    }
}

fn behind(component: Minor, api_server: Minor, behind_max: i64) -> Skew {
    match api_server.ahead_of(component) {
        None => Skew::OtherMajor,
        Some(behind) if behind < 0 => Skew::Ahead,
        Some(behind) if behind > behind_max => Skew::TooOld,
        Some(_) => Skew::Supported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v1(minor: u64) -> Minor {
        Minor { major: 1, minor }
    }

    #[test]
    fn a_kubelet_is_never_ahead_and_at_most_three_minors_behind() {
        for (kubelet_minor, api_server_minor, expected) in [
            (36, 36, Skew::Supported),
            (33, 36, Skew::Supported),
            (32, 36, Skew::TooOld),
            (37, 36, Skew::Ahead),
            (24, 26, Skew::Supported),
            (24, 27, Skew::TooOld),
            (25, 28, Skew::Supported),
        ] {
            assert_eq!(
                kubelet(v1(kubelet_minor), v1(api_server_minor)),
                expected,
                "{kubelet_minor} {api_server_minor}"
            );
        }
        assert_eq!(kubelet(Minor { major: 2, minor: 36 }, v1(36)), Skew::OtherMajor);
    }

    #[test]
    fn a_kube_proxy_is_near_its_kubelet_in_both_directions() {
        for (proxy, kubelet, expected) in [
            (36, 33, Skew::Supported),
            (33, 36, Skew::Supported),
            (36, 32, Skew::TooOld),
            (32, 36, Skew::TooOld),
            (24, 26, Skew::Supported),
            (24, 27, Skew::TooOld),
        ] {
            assert_eq!(beside_kubelet(v1(proxy), v1(kubelet)), expected, "{proxy} {kubelet}");
        }
        assert_eq!(kube_proxy(v1(37), v1(36)), Skew::Ahead);
    }

    #[test]
    fn controllers_are_at_most_one_minor_behind_and_never_ahead() {
        for (minor, expected) in
            [(36, Skew::Supported), (35, Skew::Supported), (34, Skew::TooOld), (37, Skew::Ahead)]
        {
            assert_eq!(controller(v1(minor), v1(36)), expected, "{minor}");
        }
    }

    #[test]
    fn api_servers_are_at_most_one_minor_apart_in_either_order() {
        for (one, other, expected) in
            [(36, 36, Skew::Supported), (35, 36, Skew::Supported), (34, 36, Skew::TooOld)]
        {
            assert_eq!(api_servers(v1(one), v1(other)), expected);
            assert_eq!(api_servers(v1(other), v1(one)), expected);
        }
    }
}
