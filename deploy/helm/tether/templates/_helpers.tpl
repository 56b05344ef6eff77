{{- define "tether.name" -}}
{{- default .Release.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "tether.selector" -}}
app.kubernetes.io/name: tether
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tether.labels" -}}
{{ include "tether.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- /* The configuration with what the chart knows: the admin listener and the files of the Secret. */ -}}
{{- define "tether.config" -}}
{{- $own := dict "admin" (dict "listen" "0.0.0.0:8081" "token_file" "/run/secrets/tether/admin-token") "session" (dict "secret_file" "/run/secrets/tether/session") -}}
{{- toYaml (mergeOverwrite $own (deepCopy .Values.config)) -}}
{{- end -}}
