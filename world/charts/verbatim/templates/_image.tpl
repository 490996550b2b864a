{{/* One repository; the agent's key is the flavour, behind the tag. A reference of the agent's own with a tag stays. */}}
{{- define "agent.image" -}}
{{- $image := .root.Values.image -}}
{{- $tag := $image.tag | default .root.Chart.AppVersion -}}
{{- if contains ":" (.spec.image | default "") -}}
{{ .spec.image }}
{{- else if .spec.image -}}
{{ printf "%s:%s" .spec.image $tag }}
{{- else -}}
{{ printf "%s:%s-%s" $image.repository $tag .key }}
{{- end -}}
{{- end }}
