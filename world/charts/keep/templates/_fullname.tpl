{{/* An agent may be given a whole name of its own. */}}
{{- define "agent.fullname" -}}
{{- $derived := printf "%s-%s" (include "chart.fullname" .root) .key -}}
{{ .spec.nameOverride | default $derived | trunc 63 | trimSuffix "-" }}
{{- end }}
