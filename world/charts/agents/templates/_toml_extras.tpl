{{- define "toml.extras" -}}
{{- end }}
