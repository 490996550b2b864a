{{/* Names that every generation of the chart derives alike; they take the root context. */}}

{{- define "chart.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The override, else the release if it already says the chart's name, else both joined. */}}
{{- define "chart.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $joined := printf "%s-%s" .Release.Name $name -}}
{{- $derived := contains $name .Release.Name | ternary .Release.Name $joined -}}
{{ .Values.fullnameOverride | default $derived | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "chart.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "chart.selector" -}}
app.kubernetes.io/name: {{ include "chart.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
