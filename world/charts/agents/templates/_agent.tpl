{{/*
Templates named "chart.*" take the root context; those named "agent.*", "pod.*" and "toml.*" take one agent:
dict "root" $ "key" KEY "spec" (the agent's values).
*/}}

{{/* The agents that are not switched off, as a JSON list of keys. */}}
{{- define "chart.agents" -}}
{{- $on := list -}}
{{- range $key, $spec := .Values.agents -}}
{{- if ne (toString (get $spec "enabled")) "false" }}{{ $on = append $on $key }}{{ end -}}
{{- end -}}
{{ toJson $on }}
{{- end }}

{{- define "agent.selector" -}}
{{ include "chart.selector" .root }}
app.kubernetes.io/component: {{ .key }}
{{- end }}

{{- define "agent.labels" -}}
{{ include "chart.labels" .root }}
{{ include "agent.selector" . }}
{{- end }}

{{- define "agent.home" -}}
{{ .spec.workingDir | default "/home/agent" }}
{{- end }}

{{/* "true" unless persistence is switched off in so many words. */}}
{{- define "agent.persistent" -}}
{{ ne (toString (get (.spec.persistence | default dict) "enabled")) "false" }}
{{- end }}
