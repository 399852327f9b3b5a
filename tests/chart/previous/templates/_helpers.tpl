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
{{- printf "%s.%s" (include "zenlayer-port-operator.fullname" .) .Release.Namespace }}
{{- end }}

{{- /* What all Pods of the release have in common, but for their containers. */}}
{{- define "zenlayer-port-operator.podSettings" -}}
{{- $settings := dict
      "imagePullSecrets" .Values.imagePullSecrets
      "priorityClassName" .Values.priorityClassName
      "securityContext" .Values.podSecurityContext
      "nodeSelector" (include "zenlayer-port-operator.texts" .Values.nodeSelector | fromYaml)
      "affinity" .Values.affinity
      "tolerations" .Values.tolerations }}
{{- range $name, $value := $settings }}
{{- if not $value }}{{ $_ := unset $settings $name }}{{ end }}
{{- end }}
{{- with $settings }}{{ toYaml . }}{{ end }}
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
