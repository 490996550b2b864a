{{- define "toml.extras" -}}
{{ include "toml.stt" . }}
{{- end }}
