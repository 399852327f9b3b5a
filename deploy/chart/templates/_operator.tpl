{{- /* What the operator and the check of the release have in common. */}}
{{- define "zenlayer-port-operator.args" -}}
- --zenlayer-endpoint={{ .Values.zenlayer.endpoint }}
{{- with .Values.zenlayer.proxy }}
- --zenlayer-proxy={{ . }}
{{- end }}
- --zenlayer-api-version={{ .Values.zenlayer.apiVersion }}
- --requests-per-second={{ .Values.zenlayer.requestsPerSecond }}
{{- if .Values.zenlayer.allowInsecureEndpoint }}
- --allow-insecure-endpoint
{{- end }}
{{- with .Values.credentials.existingSecret }}
- --credentials-dir=/etc/zenlayer/credentials
- --credentials-secret={{ . }}
{{- end }}
{{- with .Values.credentials.namespaces }}
- --credentials-namespaces={{ join "," . }}
{{- end }}
- --credentials-keep-copies={{ .Values.credentials.keepCopies }}
{{- with .Values.watchNamespaces }}
- --watch-namespaces={{ join "," . }}
{{- end }}
- --poll-interval={{ .Values.polling.interval }}
- --resync-interval={{ .Values.polling.resyncInterval }}
- --deletion-grace={{ .Values.deletion.grace }}
- --mass-deletion-threshold={{ include "zenlayer-port-operator.text" .Values.deletion.massDeletionThreshold }}
{{- if .Values.deletion.requireApproval }}
- --require-approval
{{- end }}
- --lease-name={{ include "zenlayer-port-operator.fullname" . }}
- --listen=[::]:{{ .Values.metrics.port }}
- --log-format={{ .Values.log.format }}
- --log-level={{ .Values.log.level }}
{{- with .Values.tracing.otlp.endpoint }}
- --otlp-endpoint={{ . }}
{{- end }}
{{- with .Values.extraArgs }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}

{{- define "zenlayer-port-operator.env" -}}
{{- /* The allocator gives memory back after a second. With 10,000 objects that saves a quarter (docs/scaling.md). */}}
- name: _RJEM_MALLOC_CONF
  value: narenas:1,dirty_decay_ms:1000,muzzy_decay_ms:0
# The name in Events and in the Lease.
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
# Kubernetes deletes the Lease together with the Pod that holds it.
- name: POD_UID
  valueFrom:
    fieldRef:
      fieldPath: metadata.uid
# The namespace of the Lease.
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- with .Values.extraEnv }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}

{{- define "zenlayer-port-operator.volumeMounts" -}}
{{- if .Values.credentials.existingSecret }}
- name: credentials
  mountPath: /etc/zenlayer/credentials
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}

{{- define "zenlayer-port-operator.volumes" -}}
{{- with .Values.credentials.existingSecret }}
- name: credentials
  secret:
    secretName: {{ . | quote }}
    # The operator starts without it, says what is missing, and finds it when you create it.
    optional: true
{{- end }}
{{- with .Values.extraVolumes }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}
