{{/* A reference given for the agent is taken as it is, whether or not it has a tag. */}}
{{- define "agent.image" -}}
{{- $image := .root.Values.image -}}
{{ .spec.image | default (printf "%s:%s" $image.repository ($image.tag | default .root.Chart.AppVersion)) }}
{{- end }}
