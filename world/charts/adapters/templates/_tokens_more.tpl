{{- define "agent.moreTokens" -}}[]{{- end }}
