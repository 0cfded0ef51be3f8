{{/*
What the names of all objects begin with: at most 46 characters of a DNS label, since the longest that
is added has 17. A name that is too long keeps its beginning, and a digest tells it from others.
*/}}
{{- define "moniker.fullname" -}}
{{- $name := default .Release.Name .Values.fullnameOverride | replace "." "-" -}}
{{- if gt (len $name) 46 -}}
{{- $name = printf "%s-%s" (trunc 37 $name | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* The name of an object of the whole cluster: no two releases share one. */}}
{{- define "moniker.clusterName" -}}
{{- printf "%s.%s" .Release.Namespace (include "moniker.fullname" .) -}}
{{- end -}}

{{/* What pods are selected by. Takes a dict of root and component. */}}
{{- define "moniker.selector" -}}
app.kubernetes.io/name: moniker
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* The labels of objects. Takes a dict of root and component. */}}
{{- define "moniker.labels" -}}
{{ include "moniker.selector" . }}
app.kubernetes.io/part-of: moniker
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
The metadata of an object: a dict of root, component, and either suffix or name; maybe annotations,
labels and cluster (true for objects of the whole cluster).
*/}}
{{- define "moniker.metadata" -}}
{{- $name := include "moniker.fullname" .root -}}
metadata:
{{- if .cluster }}
  name: {{ printf "%s.%s" (include "moniker.clusterName" .root) .suffix }}
{{- else }}
  name: {{ default (printf "%s-%s" $name .suffix) .name }}
  namespace: {{ default .root.Release.Namespace .namespace }}
{{- end }}
  labels:
    {{- include "moniker.labels" . | nindent 4 }}
    {{- with .labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- with merge (dict) (default (dict) .annotations) .root.Values.commonAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "moniker.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "moniker.controller.serviceAccount" -}}
{{- default (printf "%s-controller" (include "moniker.fullname" .)) .Values.controller.serviceAccount.name -}}
{{- end -}}

{{- define "moniker.router.serviceAccount" -}}
{{- default (printf "%s-router" (include "moniker.fullname" .)) .Values.router.serviceAccount.name -}}
{{- end -}}

{{/* Where callers find the routers, within the cluster. */}}
{{- define "moniker.url" -}}
{{- $scheme := ternary "https" "http" (ne .Values.router.tls.secretName "") -}}
{{- $port := int .Values.router.service.port -}}
{{- $shown := ternary "" (printf ":%d" $port) (eq $port (ternary 443 80 (eq $scheme "https"))) -}}
{{- printf "%s://%s-router.%s.svc%s" $scheme (include "moniker.fullname" .) .Release.Namespace $shown -}}
{{- end -}}

{{/* What every pod of ours has but for its containers. Takes a dict of root, component and values. */}}
{{- define "moniker.pod" -}}
{{- $values := .values -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
{{- if $values.topologySpreadConstraints }}
  {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
{{- else }}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "moniker.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}
{{- end -}}

{{/* The metadata of a pod template. */}}
{{- define "moniker.podMetadata" -}}
labels:
  {{- include "moniker.selector" . | nindent 2 }}
  {{- with .root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) .values.podAnnotations .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What both containers have. */}}
{{- define "moniker.container" -}}
image: {{ include "moniker.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- with .values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Refuses what the schema cannot see. */}}
{{- define "moniker.validate" -}}
{{- $router := .Values.router -}}
{{- $watched := .Values.watchNamespaces -}}
{{- $auto := $router.autoscaling -}}
{{- if regexMatch "^[0-9]" (include "moniker.fullname" .) -}}
{{- fail (printf "a Service's name begins with a letter, and those of release %s would not: set fullnameOverride" .Release.Name) -}}
{{- end -}}
{{- if gt (int $auto.minReplicas) (int $auto.maxReplicas) -}}
{{- fail (printf "router.autoscaling.minReplicas (%d) is above maxReplicas (%d)" (int $auto.minReplicas) (int $auto.maxReplicas)) -}}
{{- end -}}
{{- if le (int $router.terminationGracePeriodSeconds) (int $router.preStopSleepSeconds) -}}
{{- fail (printf "router.terminationGracePeriodSeconds (%d) leaves no time after preStopSleepSeconds (%d): raise it" (int $router.terminationGracePeriodSeconds) (int $router.preStopSleepSeconds)) -}}
{{- end -}}
{{- if $watched -}}
{{- range .Values.exportingNamespaces -}}
{{- if not (has . $watched) -}}
{{- fail (printf "exportingNamespaces names %s, which watchNamespaces does not: add it there" .) -}}
{{- end -}}
{{- end -}}
{{- range .Values.workloadIdentityNamespaces -}}
{{- if not (has . $watched) -}}
{{- fail (printf "workloadIdentityNamespaces names %s, which watchNamespaces does not: add it there" .) -}}
{{- end -}}
{{- end -}}
{{- if and $router.allowAnonymous (not (has $router.allowAnonymous $watched)) -}}
{{- fail (printf "router.allowAnonymous is %s, which watchNamespaces does not name: its callers would be served nothing" $router.allowAnonymous) -}}
{{- end -}}
{{- end -}}
{{- if and $router.allowAnonymous (not $router.allowAnonymousExposed) -}}
{{- if or (ne $router.service.type "ClusterIP") $router.ingress.enabled $router.httpRoute.enabled -}}
{{- fail "router.allowAnonymous with a Service, Ingress or HTTPRoute beyond the cluster would let everybody spend your providers' money: leave one of them out, or set router.allowAnonymousExposed: true" -}}
{{- end -}}
{{- end -}}
{{- if and $router.ingress.enabled (not $router.ingress.hosts) -}}
{{- fail "router.ingress.enabled without router.ingress.hosts: name one, such as [{host: models.example.com}]" -}}
{{- end -}}
{{- if and $router.httpRoute.enabled (not $router.httpRoute.parentRefs) -}}
{{- fail "router.httpRoute.enabled without router.httpRoute.parentRefs: name your Gateway, such as [{name: gateway, namespace: gateways}]" -}}
{{- end -}}
{{- if and .Values.podMonitor.enabled .Values.serviceMonitor.enabled -}}
{{- fail "podMonitor and serviceMonitor are both enabled: every series would be there twice; take one" -}}
{{- end -}}
{{- if and .Values.test.keySecret (not .Values.test.model) -}}
{{- fail "test.keySecret without test.model: name the alias to ask" -}}
{{- end -}}
{{- end -}}
