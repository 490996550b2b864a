{{/* A reference without a tag gets the chart's. A registry's port looks like a tag: known limit. */}}
{{- define "agent.image" -}}
{{- $image := .root.Values.image -}}
{{- $tag := $image.tag | default .root.Chart.AppVersion -}}
{{- $reference := .spec.image | default $image.repository -}}
{{ contains ":" $reference | ternary $reference (printf "%s:%s" $reference $tag) }}
{{- end }}
