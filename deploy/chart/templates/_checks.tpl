{{- /* The Pods that check something and end: before an uninstall, and in `helm test`. Each helper takes a dict of `root`, `name`
(what the Pod is called after) and `values` (with its podLabels and podAnnotations). */}}

{{- /* A name of its own: the Service must not take this Pod for the operator's. */}}
{{- define "zenlayer-port-operator.checkLabels" -}}
{{- $name := include "zenlayer-port-operator.name" .root | trunc 47 | trimSuffix "-" }}
{{- $own := dict "app.kubernetes.io/name" (printf "%s-%s" $name .name) "app.kubernetes.io/component" .name }}
{{- mustMergeOverwrite (include "zenlayer-port-operator.labels" .root | fromYaml) $own | toYaml }}
{{- end }}

{{- /* `podLabels` or `podAnnotations`. As texts before they are merged: a merge takes false and 0 for nothing. */}}
{{- define "zenlayer-port-operator.checkTexts" -}}
{{- $own := include "zenlayer-port-operator.texts" (get .values .texts) | fromYaml }}
{{- include "zenlayer-port-operator.texts" (get .root.Values .texts) | fromYaml | mustMerge $own | toYaml }}
{{- end }}

{{- define "zenlayer-port-operator.checkPodLabels" -}}
{{- $more := include "zenlayer-port-operator.checkTexts" (merge (dict "texts" "podLabels") .) | fromYaml }}
{{- mustMerge (include "zenlayer-port-operator.checkLabels" . | fromYaml) $more | toYaml }}
{{- end }}

{{- define "zenlayer-port-operator.checkPodAnnotations" -}}
{{- include "zenlayer-port-operator.checkTexts" (merge (dict "texts" "podAnnotations") .) }}
{{- end }}

{{- /* What the container has in common with the operator's. */}}
{{- define "zenlayer-port-operator.checkContainer" -}}
name: {{ .name }}
image: {{ include "zenlayer-port-operator.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
{{- with .root.Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
