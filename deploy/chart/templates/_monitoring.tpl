{{- /* The metadata of an object for Prometheus or Grafana: a dict of `root` and `labels`. */}}
{{- define "zenlayer-port-operator.monitoringMetadata" -}}
{{- $labels := include "zenlayer-port-operator.texts" .labels | fromYaml }}
{{- $metadata := dict "root" .root "name" (include "zenlayer-port-operator.fullname" .root) "labels" $labels }}
{{- include "zenlayer-port-operator.metadata" $metadata }}
{{- end }}

{{- /* What to scrape: a dict of `root` and `monitor`. The alerts look for this job. */}}
{{- define "zenlayer-port-operator.endpoint" -}}
port: http
path: /metrics
interval: {{ .monitor.interval }}
relabelings:
  - targetLabel: job
    replacement: {{ include "zenlayer-port-operator.fullname" .root }}
{{- end }}

{{- /* A duration in seconds. */}}
{{- define "zenlayer-port-operator.seconds" -}}
{{- $unit := . | trunc -1 }}
{{- trimSuffix $unit . | int64 | mul (get (dict "s" 1 "m" 60 "h" 3600) $unit) }}
{{- end }}

{{- /* The rules as a YAML list: those of files/alerts.yaml, filled in and changed by metrics.prometheusRule.overrides. */}}
{{- define "zenlayer-port-operator.alerts" -}}
{{- $settings := .Values.metrics.prometheusRule }}
{{- $namespace := include "zenlayer-port-operator.namespace" . }}
{{- $selector := printf "job=%q,namespace=%q" (include "zenlayer-port-operator.fullname" .) $namespace }}
{{- /* The operator shows the result of a status check for three intervals. */}}
{{- $readingAge := include "zenlayer-port-operator.seconds" .Values.polling.resyncInterval | int64 | mul 3 | max 600 }}
{{- $rules := list }}
{{- $overrides := deepCopy $settings.overrides }}
{{- range $rule := .Files.Get "files/alerts.yaml" | fromYamlArray }}
{{- $override := get $overrides $rule.alert | default dict }}
{{- $overrides = omit $overrides $rule.alert }}
{{- if dig "enabled" true $override }}
{{- $expr := $rule.expr | replace "SELECTOR" $selector | replace "READING_AGE" (toString $readingAge) }}
{{- $labels := dig "labels" dict $override | include "zenlayer-port-operator.texts" | fromYaml }}
{{- $_ := dig "severity" $rule.labels.severity $override | set $labels "severity" }}
{{- $_ := printf "%s#%s" $settings.runbookUrl (lower $rule.alert) | set $rule.annotations "runbook_url" }}
{{- $for := dig "for" (get $rule "for") $override }}
{{- $rules = mustMergeOverwrite $rule (dict "expr" $expr "for" $for "labels" $labels) | append $rules }}
{{- end }}
{{- end }}
{{- range $alert, $_ := $overrides }}
{{- fail (printf "metrics.prometheusRule.overrides: there is no alert %s" $alert) }}
{{- end }}
{{- toYaml $rules }}
{{- end }}
