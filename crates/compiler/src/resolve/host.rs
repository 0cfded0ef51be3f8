//! Where a target may be: which URLs are endpoints, and which hosts a Secret may be sent to. What
//! a name resolves to is checked again where the connection is made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::world::Settings;

/// Hosts that hand out credentials of the machine.
const METADATA_NAMES: [&str; 4] =
    ["metadata", "metadata.google.internal", "metadata.goog", "instance-data"];
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// The base URL of this endpoint in its one normal form, without a slash at its end, so that
/// nothing reads another host from it than this check did; or what is wrong with it.
pub(super) fn base_url(text: &str, settings: &Settings) -> Result<String, String> {
    // Where parsers of URLs differ, they differ in these.
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\')
        || text.split_once("://").is_none_or(|(_, rest)| rest.starts_with('/'))
    {
        return Err("must be scheme://host, a port and a path if wanted".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    match url.scheme() {
        "https" => {}
        "http" if settings.dev => {}
        "http" => return Err("must be https; a server in the cluster is a `service`".to_owned()),
        other => return Err(format!("has the scheme {other}, and must be https")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a credential; put it in a Secret and name it in spec.auth".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a query or a fragment".to_owned());
    }
    match url.host() {
        Some(Host::Domain(name)) => domain(name, settings)?,
        Some(Host::Ipv4(ip)) => {
            address(IpAddr::V4(ip), settings)?;
            if written_host(text) != ip.to_string() {
                return Err(format!("has a number for a host: write it as {ip}"));
            }
        }
        Some(Host::Ipv6(ip)) => address(IpAddr::V6(ip), settings)?,
        None => return Err("has no host".to_owned()),
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The host as it is written, of a URL that has neither a user nor an IPv6 address.
fn written_host(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    authority.split(':').next().unwrap_or_default()
}

fn domain(name: &str, settings: &Settings) -> Result<(), String> {
    let name = name.trim_end_matches('.');
    if METADATA_NAMES.contains(&name) {
        return Err(format!("names {name}, a metadata server, which no target may be"));
    }
    if !settings.dev && (name == "localhost" || name.ends_with(".localhost")) {
        return Err(format!("names {name}, which is the router itself"));
    }
    if is_within(name, "svc") || is_within(name, &settings.cluster_domain) {
        return Err(format!("names {name} of the cluster; use `service` instead of `url`"));
    }
    Ok(())
}

fn is_within(name: &str, domain: &str) -> bool {
    let domain = domain.trim_matches('.').to_ascii_lowercase();
    !domain.is_empty()
        && name.strip_suffix(&domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn address(ip: IpAddr, settings: &Settings) -> Result<(), String> {
    let ip = ip.to_canonical();
    let metadata = match ip {
        IpAddr::V4(v4) => v4.is_link_local() || METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6 == METADATA_V6,
    };
    if metadata {
        return Err(format!(
            "names {ip}, a link-local or metadata address, which no target may be"
        ));
    }
    let this_network = matches!(ip, IpAddr::V4(v4) if v4.octets()[0] == 0);
    if ip.is_unspecified()
        || this_network
        || ip.is_multicast()
        || (ip.is_loopback() && !settings.dev)
    {
        return Err(format!("names {ip}, which is the router itself or no single host"));
    }
    Ok(())
}

/// The host of a base URL, in lower case and without brackets.
pub(super) fn host_of(base_url: &str) -> Option<String> {
    let url = Url::parse(base_url).ok()?;
    Some(match url.host()? {
        Host::Domain(name) => name.trim_end_matches('.').to_owned(),
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(ip) => ip.to_string(),
    })
}

/// Whether the annotation `moniker.dev/allowed-hosts` has this host: exactly, or below a `*.`.
pub(super) fn is_allowed(annotation: &str, host: &str) -> bool {
    annotation.split(',').map(|item| item.trim().to_ascii_lowercase()).any(|item| {
        match item.strip_prefix("*.") {
            Some(parent) => {
                !parent.is_empty()
                    && host
                        .strip_suffix(parent)
                        .and_then(|rest| rest.strip_suffix('.'))
                        .is_some_and(|below| !below.is_empty())
            }
            None => !item.is_empty() && item == host,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_leads_out_of_the_cluster_and_nowhere_near_the_router() {
        let settings = Settings::default();
        let ok = |text: &str| base_url(text, &settings);
        assert_eq!(ok("https://api.openai.com/v1/").unwrap(), "https://api.openai.com/v1");
        assert_eq!(ok("https://api.openai.com").unwrap(), "https://api.openai.com");
        assert_eq!(ok("https://10.1.2.3:8443/x").unwrap(), "https://10.1.2.3:8443/x");
        assert_eq!(ok("https://notsvc/x").unwrap(), "https://notsvc/x");
        for bad in [
            "",
            "api.openai.com",
            "http://api.openai.com",
            "ftp://a.b",
            "https://",
            "https:///v1",
            "https://user:pw@a.b",
            "https://a.b/v1?x=1",
            "https://a.b/#x",
            "https://localhost",
            "https://x.localhost./v1",
            "https://127.0.0.1",
            "https://127.1",
            "https://2130706433",
            "https://0x7f000001/",
            "https://3232235777",
            "https://0.1.2.3",
            "https://10.1.2.3.",
            "https://[::1]",
            "https://[::ffff:127.0.0.1]",
            "https://0.0.0.0",
            "https://169.254.169.254/latest",
            "https://[fe80::1]",
            "https://[fd00:ec2::254]",
            "https://100.100.100.200",
            "https://metadata.google.internal",
            "https://vllm.ml.svc",
            "https://VLLM.ml.svc.cluster.local:8000/v1",
            "https://cluster.local",
            "https://svc.",
            "https://evil.com\\@good.com/v1",
            "https://a.b/ c",
            "https://a\n.b",
        ] {
            assert!(ok(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dev_may_use_plain_http_and_loopback() {
        let settings = Settings { dev: true, ..Settings::default() };
        for good in ["http://127.0.0.1:8091/v1", "http://localhost:1", "http://[::1]:1/v1"] {
            assert!(base_url(good, &settings).is_ok(), "{good}");
        }
        assert!(base_url("http://169.254.169.254", &settings).is_err());
    }

    #[test]
    fn allowed_hosts_are_exact_or_below() {
        let list = " api.openai.com, *.Azure.com ,*. ,, *";
        for host in ["api.openai.com", "x.azure.com", "a.b.azure.com"] {
            assert!(is_allowed(list, host), "{host}");
        }
        for host in ["azure.com", "evilazure.com", "openai.com", "x.api.openai.com", ".azure.com"] {
            assert!(!is_allowed(list, host), "{host}");
        }
        assert!(!is_allowed("", "api.openai.com"));
    }
}
