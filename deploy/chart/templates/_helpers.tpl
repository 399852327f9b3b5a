{{- define "zenlayer-port-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* The release's name where it says what this is, else release and chart. */}}
{{- define "zenlayer-port-operator.fullname" -}}
{{- $name := include "zenlayer-port-operator.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Immutable: part of the Deployment's selector. */}}
{{- define "zenlayer-port-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "zenlayer-port-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "zenlayer-port-operator.labels" -}}
{{- $standard := dict
      "app.kubernetes.io/version" .Chart.AppVersion
      "app.kubernetes.io/component" "operator"
      "app.kubernetes.io/part-of" .Chart.Name
      "app.kubernetes.io/managed-by" .Release.Service
      "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") }}
{{- $selector := include "zenlayer-port-operator.selectorLabels" . | fromYaml }}
{{- $common := include "zenlayer-port-operator.texts" .Values.commonLabels | fromYaml }}
{{- mustMerge $selector $standard $common | toYaml }}
{{- end }}

{{- define "zenlayer-port-operator.serviceAccountName" -}}
{{- $default := ternary (include "zenlayer-port-operator.fullname" .) "default" .Values.serviceAccount.create }}
{{- default $default .Values.serviceAccount.name }}
{{- end }}

{{- define "zenlayer-port-operator.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}
{{- else }}{{ .repository }}:{{ include "zenlayer-port-operator.text" .tag | default $.Chart.AppVersion }}
{{- end }}
{{- end }}
{{- end }}

{{- /* A value as text. Helm reads a whole number in a file as a float, which it would print as 2.02e+07. */}}
{{- define "zenlayer-port-operator.text" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{- /* Labels or annotations, each value as text. */}}
{{- define "zenlayer-port-operator.texts" -}}
{{- $texts := dict }}
{{- range $name, $value := . }}
{{- $_ := include "zenlayer-port-operator.text" $value | set $texts $name }}
{{- end }}
{{- toYaml $texts }}
{{- end }}

{{- /* After a refused `helm uninstall`, Helm takes the release for one that is being uninstalled, and upgrades it no more. */}}
{{- define "zenlayer-port-operator.repairCommand" -}}
helm rollback {{ .Release.Name }} {{ .Release.Revision }} --namespace {{ .Release.Namespace }}
{{- end }}

{{- /* For cluster-wide objects: releases of several namespaces may have one name. */}}
{{- define "zenlayer-port-operator.clusterName" -}}
{{- printf "%s.%s" (include "zenlayer-port-operator.fullname" .) (include "zenlayer-port-operator.namespace" .) }}
{{- end }}

{{- define "zenlayer-port-operator.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- /* The metadata of an object: a dict of `root`, `name`, and if they differ from the usual ones `namespace` ("" for an
object of the whole cluster), `labels` and `annotations`. */}}
{{- define "zenlayer-port-operator.metadata" -}}
{{- $labels := include "zenlayer-port-operator.labels" .root | fromYaml | mustMergeOverwrite dict }}
{{- $annotations := include "zenlayer-port-operator.texts" .root.Values.commonAnnotations | fromYaml }}
{{- $metadata := dict "name" .name "labels" (mustMergeOverwrite $labels (default dict .labels)) }}
{{- with mustMergeOverwrite $annotations (default dict .annotations) }}
{{- $_ := set $metadata "annotations" . }}
{{- end }}
{{- $namespace := ternary .namespace (include "zenlayer-port-operator.namespace" .root) (hasKey . "namespace") }}
{{- with $namespace }}
{{- $_ := set $metadata "namespace" . }}
{{- end }}
{{- toYaml $metadata }}
{{- end }}

{{- /* Labels that all Pods of the release have, the checks' too. */}}
{{- define "zenlayer-port-operator.podsOfRelease" -}}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/part-of: {{ .Chart.Name }}
{{- end }}

{{- /* What all Pods of the release have in common, but for their containers. */}}
{{- define "zenlayer-port-operator.podSettings" -}}
{{- $settings := dict
      "serviceAccountName" (include "zenlayer-port-operator.serviceAccountName" .)
      "automountServiceAccountToken" true
      "imagePullSecrets" .Values.imagePullSecrets
      "priorityClassName" .Values.priorityClassName
      "runtimeClassName" .Values.runtimeClassName
      "schedulerName" .Values.schedulerName
      "dnsPolicy" .Values.dnsPolicy
      "dnsConfig" .Values.dnsConfig
      "hostAliases" .Values.hostAliases
      "securityContext" .Values.podSecurityContext
      "nodeSelector" (include "zenlayer-port-operator.texts" .Values.nodeSelector | fromYaml)
      "affinity" .Values.affinity
      "tolerations" .Values.tolerations }}
{{- range $name, $value := $settings }}
{{- if not $value }}{{ $_ := unset $settings $name }}{{ end }}
{{- end }}
{{- $_ := set $settings "enableServiceLinks" false }}
{{- if kindIs "bool" .Values.hostUsers }}{{ $_ := set $settings "hostUsers" .Values.hostUsers }}{{ end }}
{{- toYaml $settings }}
{{- end }}

{{- /* Without constraints of the user: with two replicas or more, one Pod for each node and zone, if possible. */}}
{{- define "zenlayer-port-operator.topologySpread" -}}
{{- $constraints := .Values.topologySpreadConstraints }}
{{- if and (not $constraints) (gt (int .Values.replicas) 1) }}
{{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
{{- $constraints = append $constraints (dict
      "maxSkew" 1 "topologyKey" $key "whenUnsatisfiable" "ScheduleAnyway" "matchLabelKeys" (list "pod-template-hash")) }}
{{- end }}
{{- end }}
{{- $selector := dict "matchLabels" (include "zenlayer-port-operator.selectorLabels" . | fromYaml) }}
{{- $selected := list }}
{{- range $constraints }}
{{- $selected = append $selected (mustMerge dict . (dict "labelSelector" $selector)) }}
{{- end }}
{{- with $selected }}{{ toYaml . }}{{ end }}
{{- end }}

{{- /* What the operator may do beside its own kind: in the whole cluster, or in each watched namespace. */}}
{{- define "zenlayer-port-operator.namespacedRules" -}}
# The Secrets that objects name: read one by one, never listed or watched.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}

{{- /* Limits the binding of a policy to the namespaces that the operator watches. */}}
{{- define "zenlayer-port-operator.watchedNamespaces" -}}
{{- with .Values.watchNamespaces }}
matchResources:
  namespaceSelector:
    matchExpressions:
      - key: kubernetes.io/metadata.name
        operator: In
        values:
          {{- toYaml . | nindent 10 }}
{{- end }}
{{- end }}
