{{- define "toml.stt" -}}
{{- $stt := .spec.stt | default dict -}}
{{- if $stt.enabled -}}
{{- if not $stt.apiKey }}{{ fail (printf "agents.%s.stt.apiKey is needed while stt is enabled" .key) }}{{ end -}}
[stt]
enabled = true
api_key = "${STT_API_KEY}"
model = {{ $stt.model | default "whisper-large-v3-turbo" | toJson }}
base_url = {{ $stt.baseUrl | default "https://stt.invalid/v1" | toJson }}
{{- end }}
{{- end }}
