{{/* Numbers written in YAML become floats; an id that went through one has lost its last digits. */}}
{{- define "ids.refuseMangled" -}}
{{- range .ids | default list -}}
{{- if regexMatch "[eE]\\+" (toString .) -}}
{{- fail (printf "%s: %v was read as a number and lost digits; pass ids as strings (--set-string)" $.field .) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "toml.agent" -}}
[agent]
command = {{ .spec.command | toJson }}
args = {{ .spec.args | default list | toJson }}
working_dir = {{ include "agent.home" . | toJson }}
{{- with .spec.env }}
env = { {{- range $i, $key := keys . | sortAlpha }}{{ if $i }},{{ end }} {{ $key }} = {{ get $.spec.env $key | toJson }}{{ end }} }
{{- end }}
{{- with include "agent.inherited" . | fromJsonArray }}
inherit_env = {{ toJson . }}
{{- end }}
{{- end }}
