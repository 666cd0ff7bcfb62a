//! Which proxy of the environment a request goes through, if any.
//!
//! Owns `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, as Go's `golang.org/x/net/http/httpproxy` reads them, with which sops
//! and Vault's own client do: a token goes through no proxy that theirs would not go through. Opens no connection.

use std::net::IpAddr;

use reqwest::Url;

use crate::error::Result;
use crate::host::Host;

/// The variables that are read here. `ALL_PROXY` is not one of them, as with Go.
pub const PROXY_VARIABLES: [&str; 7] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "REQUEST_METHOD"];

/// The proxies of the environment, and what they are not for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    except: Vec<Exception>,
}

/// An entry of `NO_PROXY`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    All,
    Network(IpAddr, u8),
    Address(IpAddr, Option<String>),
    /// A domain with a dot in front, and whether the domain itself is meant, too.
    Domain(String, bool, Option<String>),
}

impl Proxies {
    pub fn of_environment(host: &dyn Host) -> Result<Self> {
        let either = |upper: &str, lower: &str| {
            let set = |name: &str| Ok(host.env_text(name)?.filter(|value| !value.is_empty()));
            Ok::<_, crate::error::Error>(set(upper)?.or(set(lower)?).unwrap_or_default())
        };
        // In a CGI program, `HTTP_PROXY` is a header of whoever asks for the page.
        let is_cgi = host.env("REQUEST_METHOD").is_some();
        let http = parsed(&either("HTTP_PROXY", "http_proxy")?).filter(|_| !is_cgi);
        let https = parsed(&either("HTTPS_PROXY", "https_proxy")?);
        let except = either("NO_PROXY", "no_proxy")?.split(',').filter_map(Exception::parse).collect();
        Ok(Self { http, https, except })
    }

    /// The proxy for requests to this address.
    pub fn of(&self, url: &Url) -> Option<Url> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        proxy.clone().filter(|_| !is_here(url) && !self.except.iter().any(|entry| entry.holds(url)))
    }
}

/// Whether an address is this machine's own: the proxy of an organisation cannot reach it, and should not see what stays
/// on it.
pub fn is_here(url: &Url) -> bool {
    url.host_str() == Some("localhost") || ip_of(url).is_some_and(|address| address.is_loopback())
}

fn ip_of(url: &Url) -> Option<IpAddr> {
    ip(url.host_str()?.trim_start_matches('[').trim_end_matches(']'))
}

/// An IPv4 address is itself, however it is spelled.
fn ip(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// A URL, or `HOST[:PORT]`. What is neither is no proxy.
fn parsed(proxy: &str) -> Option<Url> {
    let url = |text: &str| Url::parse(text).ok().filter(Url::has_host);
    if proxy.is_empty() { None } else { url(proxy).or_else(|| url(&format!("http://{proxy}"))) }
}

impl Exception {
    /// `None` for what names nothing.
    fn parse(entry: &str) -> Option<Self> {
        let entry = entry.trim().to_lowercase();
        if entry == "*" {
            return Some(Self::All);
        }
        if let Some((address, bits)) = entry.split_once('/')
            && let (Ok(address), Ok(bits)) = (address.parse::<IpAddr>(), bits.parse())
            && bits <= width(&address)
        {
            return Some(Self::Network(address, bits));
        }
        let (host, port) = with_port(&entry);
        if host.is_empty() {
            return None;
        }
        let port = port.filter(|port| !port.is_empty()).map(str::to_owned);
        if let Some(address) = ip(host) {
            return Some(Self::Address(address, port));
        }
        let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let below = host.strip_prefix('.');
        let domain = in_ascii(below.unwrap_or(host));
        Some(Self::Domain(format!(".{domain}"), below.is_none(), port))
    }

    fn holds(&self, url: &Url) -> bool {
        let is_port = |port: &Option<String>| {
            let asked = url.port_or_known_default().map(|port| port.to_string());
            port.is_none() || *port == asked
        };
        match (self, ip_of(url)) {
            (Self::All, _) => true,
            (Self::Network(network, bits), Some(address)) => is_in(address, *network, *bits),
            (Self::Address(address, port), Some(asked)) => *address == asked && is_port(port),
            (Self::Domain(domain, itself, port), None) => {
                let host = url.host_str().unwrap_or_default();
                (host.ends_with(domain) || (*itself && host == &domain[1..])) && is_port(port)
            }
            _ => false,
        }
    }
}

/// Host and port of `HOST:PORT` or `[IPV6]:PORT`; else all of it is a host.
fn with_port(entry: &str) -> (&str, Option<&str>) {
    if let Some((address, rest)) = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':'));
    }
    match entry.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (entry, None),
    }
}

/// A domain as a URL has it, in Punycode.
fn in_ascii(domain: &str) -> String {
    let url = Url::parse(&format!("http://{domain}")).ok().filter(|_| !domain.is_ascii());
    url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| domain.to_owned())
}

fn width(address: &IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn is_in(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let shift = u32::from(width(&network) - bits);
    let first = |address| number(address).checked_shr(shift).unwrap_or(0);
    address.is_ipv4() == network.is_ipv4() && first(address) == first(network)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::fake_host::FakeHost;

    const PROXY: &str = "http://proxy.test:3128";

    fn goes_direct(url: &str, no_proxy: &str) -> bool {
        let host = FakeHost::default().env("HTTP_PROXY", PROXY).env("HTTPS_PROXY", PROXY);
        let proxies = Proxies::of_environment(&host.env("NO_PROXY", no_proxy)).unwrap();
        proxies.of(&Url::parse(url).unwrap()).is_none()
    }

    /// The test of Go's own package (`UseProxyTests`), and what it leaves out.
    #[test]
    fn exceptions_are_those_of_go() {
        let no_proxy = "foobar.com, .barbaz.net, *.wildcard.io, 192.168.1.1, 192.168.1.2:81, 192.168.1.3:80, \
                        10.0.0.0/30, 2001:db8::52:0:1, [2001:db8::52:0:2]:443, [2001:db8::52:0:3]:80, \
                        2002:db8:a::45/64, vault.corp.test:8200, *.corp.test:8200, BÜCHER.test, ,:1,";
        for (host, direct) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("127.0.0.2", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]", true),
            ("[::2]", false),
            ("192.168.1.1", true),
            ("[::ffff:192.168.1.1]", true),
            ("192.168.1.2", false),
            ("192.168.1.3", true),
            ("192.168.1.4", false),
            ("10.0.0.2", true),
            ("10.0.0.4", false),
            ("[2001:db8::52:0:1]", true),
            ("[2001:db8::52:0:2]", false),
            ("[2001:db8::52:0:3]", true),
            ("[2002:db8:a::123]", true),
            ("[fe80::424b:c8be:1643:a1b6]", false),
            ("barbaz.net", false),
            ("www.barbaz.net", true),
            ("foobar.com", true),
            ("www.FOOBAR.com", true),
            ("foofoobar.com", false),
            ("baz.com", false),
            ("localhost.net", false),
            ("local.localhost", false),
            ("barbarbaz.net", false),
            ("wildcard.io", false),
            ("nested.wildcard.io", true),
            ("awildcard.io", false),
            ("vault.corp.test:8200", true),
            ("vault.corp.test", false),
            ("a.vault.corp.test:8200", true),
            ("other.corp.test:8200", true),
            ("corp.test:8200", false),
            ("bücher.test", true),
        ] {
            assert_eq!(goes_direct(&format!("http://{host}/"), no_proxy), direct, "{host}");
        }
        assert!(goes_direct("https://vault.test", "a,*"));
        assert!(
            goes_direct("https://vault.test", "vault.test:443") && !goes_direct("https://vault.test", "")
        );
        assert!(goes_direct("https://8.8.8.8", "0.0.0.0/0") && !goes_direct("https://[2::]", "0.0.0.0/0"));
        assert!(!goes_direct("https://8.8.8.8", "8.8.8.8/33"));
    }

    #[test]
    fn this_machine_has_many_names() {
        for (url, here) in [
            ("http://127.0.0.1:8200", true),
            ("http://127.1.2.3", true),
            ("https://[::1]:8200", true),
            ("http://localhost:8100", true),
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
            ("https://vault.example.com", false),
        ] {
            assert_eq!(is_here(&Url::parse(url).unwrap()), here, "{url}");
        }
    }

    #[test]
    fn what_is_empty_is_not_set_and_the_scheme_says_which() {
        let of = |variables: &[(&'static str, &str)], url: &str| {
            let host =
                variables.iter().fold(FakeHost::default(), |host, (name, value)| host.env(name, *value));
            let proxy = Proxies::of_environment(&host).unwrap().of(&Url::parse(url).unwrap());
            proxy.map(String::from)
        };
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(of(&[("HTTP_PROXY", ""), ("http_proxy", "p:1")], "http://v"), is("http://p:1/"));
        assert_eq!(of(&[("HTTP_PROXY", "p:1"), ("http_proxy", "q:1")], "http://v"), is("http://p:1/"));
        assert_eq!(of(&[("HTTP_PROXY", "p:1")], "https://v"), None);
        assert_eq!(of(&[("HTTPS_PROXY", "https://u:w@p")], "https://v"), is("https://u:w@p/"));
        assert_eq!(of(&[("ALL_PROXY", "p:1"), ("all_proxy", "p:1")], "https://v"), None);
        assert_eq!(of(&[("HTTP_PROXY", "p:1"), ("REQUEST_METHOD", "GET")], "http://v"), None);
        assert_eq!(of(&[("HTTP_PROXY", "::")], "http://v"), None);
    }
}
