{{/* The gateway beside an agent, seen as an agent for names and labels. The agent's nameOverride is not the gateway's. */}}
{{- define "gateway.self" -}}
{{ dict "key" (printf "%s-gateway" .key) "spec" dict | toJson }}
{{- end }}
