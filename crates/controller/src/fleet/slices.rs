//! Which routers are ready, by the EndpointSlices of their Service: the cluster's own truth, which
//! every replica reads alike.
//!
//! An endpoint counts when `ready` is not false and it is not terminating, once per `targetRef.uid`
//! over slices and address families. Its name is its pod's, which is what the router calls itself on
//! the stream (`--name`; by default its host name, which in a pod is the pod's name).

use std::collections::{BTreeMap, btree_map::Entry};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use routing::ObjectId;
use tracing::{debug, info, warn};

use super::{Fleet, Member, Members};
use crate::watch::{Backoff, for_good, said};

/// The label that names a slice's Service.
const SERVICE: &str = "kubernetes.io/service-name";
/// The name of the admin port in the Service.
const PORT_NAME: &str = "admin";
/// Where it is when the Service names none so.
const PORT: u16 = 9090;
/// How long the API server lets one watch run, in seconds: it is begun again when nothing more comes.
const WATCH_SECONDS: u32 = 30;
/// How long to wait at most before what may not be read is asked for again.
const REFUSED: Duration = Duration::from_secs(30);

/// The slices of a Service, by name, as far as they are known.
#[derive(Debug, Default)]
struct Slices(BTreeMap<String, Vec<(String, Member)>>);

impl Slices {
    fn put(&mut self, slice: &EndpointSlice) {
        let name = slice.metadata.name.clone().unwrap_or_default();
        self.0.insert(name, ready(slice));
    }

    fn remove(&mut self, slice: &EndpointSlice) {
        self.0.remove(slice.metadata.name.as_deref().unwrap_or_default());
    }

    /// Each router once. Of several addresses an IPv4 one goes before, then the smallest, so that
    /// the order of slices decides nothing.
    fn members(&self) -> Members {
        let mut members = Members::new();
        for (uid, member) in self.0.values().flatten() {
            match members.entry(uid.clone()) {
                Entry::Vacant(entry) => drop(entry.insert(member.clone())),
                Entry::Occupied(mut entry) if member.admin < entry.get().admin => {
                    entry.insert(member.clone());
                }
                Entry::Occupied(_) => {}
            }
        }
        members
    }
}

/// The endpoints of a slice that count, by what tells pods apart.
fn ready(slice: &EndpointSlice) -> Vec<(String, Member)> {
    let ports = slice.ports.iter().flatten();
    let mut named = ports.filter(|port| port.name.as_deref() == Some(PORT_NAME));
    let port = named.find_map(|port| u16::try_from(port.port?).ok()).unwrap_or(PORT);
    let one = |endpoint: &k8s_openapi::api::discovery::v1::Endpoint| {
        let conditions = endpoint.conditions.clone().unwrap_or_default();
        if conditions.ready == Some(false) || conditions.terminating == Some(true) {
            return None;
        }
        // Names of hosts (address type FQDN) are no addresses of pods.
        let address: IpAddr = endpoint.addresses.first()?.parse().ok()?;
        let pod = endpoint.target_ref.clone().unwrap_or_default();
        let name = pod.name.or_else(|| endpoint.hostname.clone());
        let member = Member {
            name: name.unwrap_or_else(|| address.to_string()),
            admin: SocketAddr::new(address, port),
        };
        Some((pod.uid.unwrap_or_else(|| member.name.clone()), member))
    };
    slice.endpoints.iter().filter_map(one).collect()
}

/// Follows the slices of this Service, for ever. While they cannot be read, what was known of them
/// goes on.
pub(crate) async fn follow(client: Client, service: ObjectId, fleet: Fleet) -> Infallible {
    let api: Api<EndpointSlice> = Api::namespaced(client, &service.namespace);
    let mut backoff = Backoff::default();
    let mut refused = String::new();
    loop {
        let error = watch(&api, &service, &fleet, &mut backoff).await;
        let delay = backoff.after(&error).min(REFUSED);
        let why = said(&error);
        if why != refused {
            warn!(
                "cannot watch the EndpointSlices of Service {service} (--router-service), so which \
                 routers are ready is not known anew: {why}"
            );
            refused = why;
        }
        tokio::time::sleep(delay).await;
    }
}

/// One watcher, as long as it is of use.
async fn watch(
    api: &Api<EndpointSlice>,
    service: &ObjectId,
    fleet: &Fleet,
    backoff: &mut Backoff,
) -> kube::Error {
    let labels = format!("{SERVICE}={}", service.name);
    let config = watcher::Config::default().labels(&labels).timeout(WATCH_SECONDS);
    let mut events = pin!(watcher(api.clone(), config));
    let mut slices = Slices::default();
    let mut listing = Slices::default();
    let mut known = 0;
    loop {
        // The watcher begins again by itself and never ends.
        let Some(event) = events.next().await else { continue };
        match event {
            Ok(Event::Init) => {
                listing = Slices::default();
                continue;
            }
            Ok(Event::InitApply(slice)) => {
                listing.put(&slice);
                continue;
            }
            Ok(Event::InitDone) => slices = std::mem::take(&mut listing),
            Ok(Event::Apply(slice)) => slices.put(&slice),
            Ok(Event::Delete(slice)) => slices.remove(&slice),
            Err(
                watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error),
            ) if for_good(&error) => return error,
            Err(error) => {
                debug!("the watch of EndpointSlices was interrupted: {error}");
                tokio::time::sleep(backoff.next()).await;
                continue;
            }
        }
        backoff.reset();
        let members = slices.members();
        if members.len() != known {
            known = members.len();
            info!(routers = known, service = %service, "routers are ready");
        }
        fleet.set_members(members);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn slice(name: &str, port: &Value, endpoints: &[Value]) -> EndpointSlice {
        serde_json::from_value(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": name, "namespace": "moniker"},
            "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}, port],
            "endpoints": endpoints,
        }))
        .unwrap()
    }

    fn endpoint(address: &str, pod: &str, conditions: &Value) -> Value {
        json!({
            "addresses": [address], "conditions": conditions,
            "targetRef": {"kind": "Pod", "namespace": "moniker", "name": pod, "uid": format!("uid-{pod}")},
        })
    }

    fn told(slices: &Slices) -> Vec<String> {
        slices.members().values().map(|m| format!("{} {}", m.name, m.admin)).collect()
    }

    #[test]
    fn a_router_counts_once_and_while_it_is_ready() {
        let admin = json!({"name": "admin", "port": 9191});
        let mut slices = Slices::default();
        slices.put(&slice(
            "v4",
            &admin,
            &[
                endpoint("10.0.0.1", "r1", &json!({"ready": true})),
                endpoint("10.0.0.2", "r2", &json!({"ready": false})),
                endpoint("10.0.0.3", "r3", &json!({"ready": true, "terminating": true})),
                endpoint("10.0.0.4", "r4", &json!({})),
                endpoint("not-an-address", "r5", &json!({"ready": true})),
            ],
        ));
        slices.put(&slice(
            "v6",
            &admin,
            &[
                endpoint("fd00::1", "r1", &json!({"ready": true})),
                endpoint("fd00::2", "r2", &json!({"ready": false})),
            ],
        ));
        assert_eq!(told(&slices), ["r1 10.0.0.1:9191", "r4 10.0.0.4:9191"]);

        slices.put(&slice("v4", &admin, &[endpoint("10.0.0.4", "r4", &json!({"ready": true}))]));
        assert_eq!(told(&slices), ["r1 [fd00::1]:9191", "r4 10.0.0.4:9191"]);
        slices.remove(&slice("v6", &admin, &[]));
        assert_eq!(told(&slices), ["r4 10.0.0.4:9191"]);
    }

    #[test]
    fn what_names_no_port_or_pod_is_found_all_the_same() {
        let mut slices = Slices::default();
        let bare = json!({"addresses": ["10.0.0.9"]});
        let hosted = json!({"addresses": ["10.0.0.8"], "hostname": "router-8"});
        slices.put(&slice("bare", &json!({"port": 1234}), &[bare, hosted]));
        assert_eq!(told(&slices), ["10.0.0.9 10.0.0.9:9090", "router-8 10.0.0.8:9090"]);
    }
}
