//! What can be switched on in the chart, one by one, as values.

/// A feature and the values that turn it on. What a feature needs of the cluster is beside it.
pub(super) const ALL: &[(&str, &str)] = &[
    ("nothing", "{}"),
    ("namespaces", "watchNamespaces: [moniker-system, other]\nexportingNamespaces: [other]\n"),
    (
        "identity",
        "workloadIdentityNamespaces: [moniker-system]\n\
         router: {serviceAccount: {annotations: {eks.amazonaws.com/role-arn: 'arn:aws:iam::1:role/r'}}, \
         podLabels: {azure.workload.identity/use: 'true'}}\n",
    ),
    ("anonymous", "router: {allowAnonymous: moniker-system}\n"),
    ("autoscaling", "router: {autoscaling: {enabled: true, maxReplicas: 20}}\n"),
    ("callers' TLS", "router: {tls: {secretName: callers-tls}}\ntest: {caKey: ca.crt}\n"),
    ("stream's TLS", "controller: {tlsSecretName: stream-tls}\n"),
    (
        "ingress",
        "router:\n  ingress:\n    enabled: true\n    className: nginx\n    annotations: {a: b}\n    \
         hosts: [{host: m.example.com}, {host: n.example.com, path: /llm}]\n    \
         tls: [{secretName: t, hosts: [m.example.com]}]\n",
    ),
    (
        "route",
        "router: {httpRoute: {enabled: true, hostnames: [m.example.com], parentRefs: [{name: g}]}}\n",
    ),
    (
        "load balancer",
        "router:\n  service: {type: LoadBalancer, nodePort: 30080, externalTrafficPolicy: Local, \
         loadBalancerClass: a.example/b, loadBalancerSourceRanges: [10.0.0.0/8], \
         annotations: {a: b}, trafficDistribution: PreferClose}\n",
    ),
    (
        "policies",
        "networkPolicy:\n  enabled: true\n  metricsFrom: [{namespaceSelector: {matchLabels: {a: \
         b}}}]\n  callersFrom: [{podSelector: {}}]\n  routerExtraEgress: [{ports: [{port: \
         8000}]}]\n  controllerExtraEgress: [{ports: [{port: 8001}]}]\n",
    ),
    (
        "own accounts",
        "controller: {serviceAccount: {name: c}}\nrouter: {serviceAccount: {name: r}}\n",
    ),
    ("no rights", "rbac: {create: false, userRoles: false}\n"),
    (
        "no budgets",
        "controller: {podDisruptionBudget: {enabled: false}}\n\
         router: {podDisruptionBudget: {enabled: false}}\n",
    ),
    (
        "no identities",
        "controller: {podSecurityContext: {runAsUser: null, runAsGroup: null, fsGroup: null}}\n\
         router: {podSecurityContext: {runAsUser: null, runAsGroup: null, fsGroup: null}}\n",
    ),
    ("more of everything", MORE),
    (
        "key for the test",
        "test: {model: prod-chat, keySecret: key, url: 'https://m.example.com'}\n",
    ),
    ("umbrella", "global: null\nenabled: true\n"),
];

const MORE: &str = "
fullnameOverride: gate
image:
  repository: registry.example.com/moniker
  digest: sha256:0000000000000000000000000000000000000000000000000000000000000000
  pullSecrets: [{name: registry}]
commonLabels: {team: platform}
commonAnnotations: {owner: platform}
logFormat: text
logLevel: info,router=debug
controller: &both
  extraArgs: [--cluster-domain=cluster.local]
  env: [{name: A, value: b}]
  envFrom: [{configMapRef: {name: more}}]
  volumes: [{name: more, emptyDir: {}}]
  volumeMounts: [{name: more, mountPath: /more}]
  podLabels: {a: b}
  podAnnotations: {a: b}
  nodeSelector: {kubernetes.io/os: linux}
  tolerations: [{key: a, operator: Exists}]
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 1
        podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {a: b}}}
  topologySpreadConstraints:
  - topologyKey: kubernetes.io/hostname
    maxSkew: 2
    whenUnsatisfiable: DoNotSchedule
    labelSelector: {matchLabels: {a: b}}
  priorityClassName: system-cluster-critical
router:
  <<: *both
  egress: {privateCIDRs: [10.20.0.0/16, 'fd00::/8']}
  responseHeaders: minimal
  maxBody: 64MiB
";

/// What two features at once may be refused for, by a message that has this in it.
pub(super) fn refused(first: &str, second: &str) -> Option<&'static str> {
    let has = |name: &str| first == name || second == name;
    let exposed = has("ingress") || has("route") || has("load balancer");
    (has("anonymous") && exposed).then_some("router.allowAnonymousExposed")
}
