{{- define "agent.fullname" -}}
{{ printf "%s-%s" (include "chart.fullname" .root) .key | trunc 63 | trimSuffix "-" }}
{{- end }}
