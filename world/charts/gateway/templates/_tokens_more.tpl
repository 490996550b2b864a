{{- define "agent.moreTokens" -}}
{{- $gateway := .spec.gateway | default dict -}}
{{- $tokens := list -}}
{{- if and $gateway.enabled $gateway.token -}}
{{- $tokens = append $tokens (dict "env" "GATEWAY_WS_TOKEN" "key" "gateway-ws-token" "value" $gateway.token) -}}
{{- end -}}
{{ toJson $tokens }}
{{- end }}
