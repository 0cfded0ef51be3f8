//! From a name to addresses, always absolutely: no search domain of the machine can turn a
//! provider's name into another.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// Where names are written down.
const HOSTS: &str = "/etc/hosts";

/// The addresses of `name`, in the order in which they should be tried: the operator's own answer,
/// else the machine's hosts file, else DNS. Nothing is remembered, so a change of DNS holds for the
/// next connection.
pub(super) async fn resolve(
    name: &str,
    port: u16,
    overrides: &[(String, SocketAddr)],
) -> io::Result<Vec<SocketAddr>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let given: Vec<_> = overrides
        .iter()
        .filter(|(n, _)| n.trim_end_matches('.').eq_ignore_ascii_case(name))
        .map(|(_, address)| *address)
        .collect();
    if !given.is_empty() {
        return Ok(given);
    }
    if name.eq_ignore_ascii_case("localhost") || ends_with(name, ".localhost") {
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        return Ok(loopback.map(|ip| SocketAddr::new(ip, port)).into());
    }
    // The system's resolver does not look for absolute names in the hosts file.
    if let Ok(hosts) = tokio::fs::read_to_string(HOSTS).await {
        let found = in_hosts(&hosts, name);
        if !found.is_empty() {
            return Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect());
        }
    }
    let found = tokio::net::lookup_host((format!("{name}."), port)).await?;
    Ok(found.collect())
}

fn ends_with(name: &str, suffix: &str) -> bool {
    name.len() > suffix.len()
        && name.get(name.len() - suffix.len()..).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

/// The addresses that a hosts file has for a name.
fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    hosts
        .lines()
        .filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let ip = words.next()?.parse().ok()?;
            words.any(|word| word.eq_ignore_ascii_case(name)).then_some(ip)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_operators_answer_comes_first() {
        let overrides: Vec<_> = [("api.test", "10.0.0.1:1"), ("API.test.", "10.0.0.2:2")]
            .map(|(n, a)| (n.to_owned(), a.parse().unwrap()))
            .into();
        let found = resolve("api.test.", 443, &overrides).await.unwrap();
        assert_eq!(found, ["10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap()]);
        let found = resolve("x.Localhost", 80, &overrides).await.unwrap();
        assert_eq!(found, ["127.0.0.1:80".parse().unwrap(), "[::1]:80".parse().unwrap()]);
    }

    #[test]
    fn hosts_files_are_read_as_they_are_written() {
        let hosts =
            "# 10.0.0.9 api.test\n10.0.0.1\tapi.test other # api2.test\n::1 API.test\nx api.test";
        let ips: Vec<IpAddr> = vec!["10.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        assert_eq!(in_hosts(hosts, "api.test"), ips);
        assert_eq!(in_hosts(hosts, "api2.test"), Vec::<IpAddr>::new());
    }
}
