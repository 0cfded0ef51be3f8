//! Which addresses may be connected to, judged on the address itself: what a name resolved to, with
//! IPv4 addresses that hide in IPv6 taken out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// What an endpoint may connect to beyond public addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    /// Ranges that the operator allows.
    pub(super) allowed: Vec<IpNet>,
    /// A Service of the cluster: the ranges that clusters use.
    pub(super) service: bool,
    /// `moniker dev`: loopback.
    pub(super) dev: bool,
    /// The addresses of an identity service, which only questions for the identity of this process
    /// go to, in plain HTTP.
    pub(super) reserved: &'static [IpAddr],
}

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Realm {
    Public,
    /// Never connected to.
    Never(&'static str),
    Loopback,
    /// Where clusters and offices live.
    Private,
    /// Neither public nor anybody's: documentation, benchmarks.
    Special,
}

impl Guard {
    /// Why `ip` may not be connected to, if so.
    pub(super) fn refusal(&self, ip: IpAddr) -> Option<String> {
        if self.reserved.contains(&ip) {
            return None;
        }
        let inner = unwrap(ip);
        let realm = realm(inner);
        if realm == Realm::Public && !self.reserved.is_empty() {
            return Some(format!("{ip} is a public address, and no identity service has one"));
        }
        if let Realm::Never(what) = realm {
            return Some(format!("{ip} is {what}, which is never connected to"));
        }
        let allowed = realm == Realm::Public
            || self.allowed.iter().any(|net| net.contains(&inner) || net.contains(&ip))
            || (realm == Realm::Loopback && self.dev)
            || (realm == Realm::Private && self.service);
        let what = match realm {
            Realm::Loopback => "a loopback address",
            Realm::Private => "a private address",
            _ => "an address for special use",
        };
        (!allowed).then(|| {
            format!(
                "{ip} is {what}: the router connects to such only within its --allow-cidr ranges"
            )
        })
    }
}

/// The IPv4 address within an IPv6 one, where a translator or the kernel would connect to that.
fn unwrap(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let low = |high: u16, low: u16| {
        IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
    };
    match v6.segments() {
        // Mapped, and SIIT's form of it; NAT64, well-known and local; 6to4.
        [0, 0, 0, 0, 0, 0xffff, a, b]
        | [0, 0, 0, 0, 0xffff, 0, a, b]
        | [0x64, 0xff9b, 0 | 1, .., a, b]
        | [0x2002, a, b, ..] => low(a, b),
        // The old "compatible" form; :: and ::1 are addresses of their own.
        [0, 0, 0, 0, 0, 0, a, b] if a != 0 => low(a, b),
        _ => ip,
    }
}

fn realm(ip: IpAddr) -> Realm {
    match ip {
        IpAddr::V4(v4) => realm_v4(v4),
        IpAddr::V6(v6) => realm_v6(v6),
    }
}

fn realm_v4(ip: Ipv4Addr) -> Realm {
    match ip.octets() {
        [0, ..] => Realm::Never("an unspecified address"),
        [169, 254, ..] => Realm::Never("a link-local address"),
        // Alibaba Cloud, Azure, Oracle Cloud.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => {
            Realm::Never("a cloud's metadata service")
        }
        [224..=239, ..] => Realm::Never("a multicast address"),
        [240..=255, ..] => Realm::Never("a reserved or broadcast address"),
        [127, ..] => Realm::Loopback,
        // 100.64/10 is what carriers use, and clusters too.
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Realm::Private,
        [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => {
            Realm::Special
        }
        _ => Realm::Public,
    }
}

fn realm_v6(ip: Ipv6Addr) -> Realm {
    if ip.is_unspecified() {
        return Realm::Never("an unspecified address");
    }
    if ip.is_loopback() {
        return Realm::Loopback;
    }
    match ip.segments() {
        // AWS, in all its forms, and Google Cloud.
        [0xfd00, 0xec2, ..] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => {
            Realm::Never("a cloud's metadata service")
        }
        [0xfe80..=0xfebf, ..] => Realm::Never("a link-local address"),
        [0xff00..=0xffff, ..] => Realm::Never("a multicast address"),
        [0xfc00..=0xfdff, ..] => Realm::Private,
        // Site-local, Teredo, documentation, and what is not assigned to anybody.
        [0xfec0..=0xfeff, ..] | [0x2001, 0 | 0xdb8, ..] => Realm::Special,
        [0x2000..=0x3fff, ..] => Realm::Public,
        _ => Realm::Special,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(guard: &Guard, ip: &str) -> bool {
        guard.refusal(ip.parse().unwrap()).is_some()
    }

    #[test]
    fn some_addresses_are_never_connected_to() {
        let everything = Guard {
            allowed: ["0.0.0.0/0", "::/0"].map(|net| net.parse().unwrap()).into(),
            service: true,
            dev: true,
            reserved: &[],
        };
        for ip in [
            "169.254.169.254",
            "169.254.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "100.100.100.200",
            "::ffff:100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "::ffff:0.0.0.0",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "240.0.0.1",
        ] {
            assert!(refused(&everything, ip), "{ip}");
        }
    }

    #[test]
    fn what_is_reserved_is_exactly_that() {
        const RESERVED: &[IpAddr] = &[IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254))];
        let identity = Guard { reserved: RESERVED, ..Guard::default() };
        assert!(!refused(&identity, "169.254.169.254"));
        for ip in [
            "169.254.169.253",
            "169.254.170.23",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "100.100.100.200",
            "10.0.0.1",
            "127.0.0.1",
            "1.1.1.1",
            "2606:4700::1",
        ] {
            assert!(refused(&identity, ip), "{ip}");
        }
        let allowed = Guard { allowed: vec!["127.0.0.0/8".parse().unwrap()], ..identity };
        assert!(!refused(&allowed, "127.0.0.1"));
    }

    #[test]
    fn what_is_not_public_needs_leave() {
        let none = Guard::default();
        let service = Guard { service: true, ..Guard::default() };
        let dev = Guard { dev: true, ..Guard::default() };
        let private = ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"]
            .into_iter()
            .chain(["fc00::1", "fd12::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::"]);
        for ip in private {
            assert!(refused(&none, ip) && refused(&dev, ip), "{ip}");
            assert!(!refused(&service, ip), "{ip}");
        }
        for ip in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"] {
            assert!(refused(&none, ip) && refused(&service, ip), "{ip}");
            assert!(!refused(&dev, ip), "{ip}");
        }
        for ip in ["192.0.2.1", "198.18.0.1", "203.0.113.9", "2001:db8::1", "2001::1", "fec0::1"] {
            assert!(refused(&none, ip) && refused(&service, ip) && refused(&dev, ip), "{ip}");
        }
        let some = Guard {
            allowed: ["10.1.0.0/16", "fd12::/16", "127.0.0.0/8"].map(|n| n.parse().unwrap()).into(),
            ..Guard::default()
        };
        for ip in ["10.1.2.3", "::ffff:10.1.2.3", "fd12::9", "127.0.0.1"] {
            assert!(!refused(&some, ip), "{ip}");
        }
        for ip in ["10.2.0.1", "fd13::9", "::1"] {
            assert!(refused(&some, ip), "{ip}");
        }
    }

    #[test]
    fn public_addresses_are_free() {
        let none = Guard::default();
        for ip in ["1.1.1.1", "100.63.0.1", "100.128.0.1", "172.32.0.1", "2606:4700::1"]
            .into_iter()
            .chain(["::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"])
        {
            assert!(!refused(&none, ip), "{ip}");
        }
    }
}
