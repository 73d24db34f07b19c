{{/* A stateful set makes a label of its name and a hash, so with "-redpanda" it has 52 characters at most. */}}
{{- define "sfm.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 43 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 43 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* The secret with the token and the passwords of stores in the cluster. */}}
{{- define "sfm.secrets" -}}
{{ .Values.existingSecret | default (printf "%s-secrets" (include "sfm.name" .)) }}
{{- end }}

{{- define "sfm.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sfm.labels" -}}
{{ include "sfm.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "sfm.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* A value of a variable. Numbers from a file of values are floats, which print as 3.3554432e+07. */}}
{{- define "sfm.value" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* How pods give way to new ones: one by one, or, for a change of mode, all before any other. */}}
{{- define "sfm.strategy" -}}
type: {{ .Values.strategy }}
{{- if eq .Values.strategy "RollingUpdate" }}
rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
{{- end }}
{{- end }}

{{/* What a container of ours may do: as little as possible. */}}
{{- define "sfm.securityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* The variables that API, consumer and migration have in common. */}}
{{- define "sfm.env" -}}
{{- $name := include "sfm.name" . -}}
- name: MEMORY_MODE
  value: {{ .Values.mode | quote }}
- name: SOMA_NAMESPACE
  value: {{ .Values.namespace | quote }}
- name: SOMA_API_TOKEN
  valueFrom:
    secretKeyRef: {name: {{ .Values.auth.existingSecret | default (include "sfm.secrets" .) | quote }}, key: SOMA_API_TOKEN}
- name: UVICORN_TIMEOUT_GRACEFUL
  value: {{ .Values.api.shutdownSeconds | quote }}
{{- if .Values.postgres.enabled }}
- name: POSTGRES_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ include "sfm.secrets" . | quote }}, key: POSTGRES_PASSWORD}
- name: POSTGRES_URL
  value: "postgresql://{{ .Values.postgres.user }}:$(POSTGRES_PASSWORD)@{{ $name }}-postgres:{{ .Values.postgres.port }}/{{ .Values.postgres.database }}"
{{- else if .Values.postgres.external.existingSecret }}
- name: POSTGRES_URL
  valueFrom:
    secretKeyRef: {name: {{ .Values.postgres.external.existingSecret | quote }}, key: POSTGRES_URL}
{{- end }}
{{- if .Values.redis.enabled }}
- name: REDIS_HOST
  value: {{ $name }}-redis
- name: REDIS_PORT
  value: {{ .Values.redis.port | quote }}
- name: REDIS_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ include "sfm.secrets" . | quote }}, key: REDIS_PASSWORD}
{{- else if .Values.redis.external.existingSecret }}
- name: REDIS_URL
  valueFrom:
    secretKeyRef: {name: {{ .Values.redis.external.existingSecret | quote }}, key: REDIS_URL}
{{- end }}
{{- if .Values.qdrant.enabled }}
- name: QDRANT_HOST
  value: {{ $name }}-qdrant
- name: QDRANT_PORT
  value: {{ .Values.qdrant.port | quote }}
- name: QDRANT_GRPC_PORT
  value: {{ .Values.qdrant.grpcPort | quote }}
- name: QDRANT_API_KEY
  valueFrom:
    secretKeyRef: {name: {{ include "sfm.secrets" . | quote }}, key: QDRANT_API_KEY}
- name: QDRANT_TLS
  value: "false"
{{- else if .Values.qdrant.external.url }}
- name: QDRANT_URL
  value: {{ .Values.qdrant.external.url | quote }}
{{- if .Values.qdrant.external.existingSecret }}
- name: QDRANT_API_KEY
  valueFrom:
    secretKeyRef: {name: {{ .Values.qdrant.external.existingSecret | quote }}, key: QDRANT_API_KEY}
{{- end }}
{{- end }}
{{- if .Values.redpanda.enabled }}
- name: KAFKA_BOOTSTRAP_SERVERS
  value: "{{ $name }}-redpanda:{{ .Values.redpanda.port }}"
{{- else if .Values.redpanda.external.bootstrapServers }}
- name: KAFKA_BOOTSTRAP_SERVERS
  value: {{ .Values.redpanda.external.bootstrapServers | quote }}
- name: KAFKA_SECURITY_PROTOCOL
  value: {{ .Values.redpanda.external.securityProtocol | quote }}
{{- if .Values.redpanda.external.existingSecret }}
- name: KAFKA_SASL_MECHANISM
  value: {{ .Values.redpanda.external.saslMechanism | quote }}
{{- range list "KAFKA_SASL_USERNAME" "KAFKA_SASL_PASSWORD" }}
- name: {{ . }}
  valueFrom:
    secretKeyRef: {name: {{ $.Values.redpanda.external.existingSecret | quote }}, key: {{ . }}}
{{- end }}
{{- end }}
{{- else }}
- name: EVENTING_ENABLED
  value: "false"
{{- end }}
{{- if .Values.encryption.existingSecret }}
- name: SFM_ENCRYPTION_KEYS_FILE
  value: /etc/somafractalmemory/keys/keys.json
{{- end }}
{{- range $key, $value := .Values.env }}
- name: {{ $key }}
  value: {{ include "sfm.value" $value | quote }}
{{- end }}
{{- end }}

{{/* The rest of a pod of ours. */}}
{{- define "sfm.pod" -}}
serviceAccountName: {{ include "sfm.name" . }}
automountServiceAccountToken: false
# Else every service is a variable, and one that begins with SFM_ is taken for a setting.
enableServiceLinks: false
securityContext: {fsGroup: 10001}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - {name: data, emptyDir: {}}
  - {name: tmp, emptyDir: {}}
{{- with .Values.encryption.existingSecret }}
  # Owned by root; Kubernetes lets the group of the pod read it, too.
  - {name: keys, secret: {secretName: {{ . | quote }}, defaultMode: 0400, items: [{key: keys.json, path: keys.json}]}}
{{- end }}
{{- with .Values.files.existingSecret }}
  - {name: files, secret: {secretName: {{ . | quote }}, defaultMode: 0400}}
{{- end }}
{{- end }}

{{- define "sfm.container" -}}
image: {{ include "sfm.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: {{- include "sfm.securityContext" . | nindent 2 }}
volumeMounts:
  - {name: data, mountPath: /var/lib/somafractalmemory}
  - {name: tmp, mountPath: /tmp}
{{- if .Values.encryption.existingSecret }}
  - {name: keys, mountPath: /etc/somafractalmemory/keys, readOnly: true}
{{- end }}
{{- if .Values.files.existingSecret }}
  - {name: files, mountPath: /etc/somafractalmemory/files, readOnly: true}
{{- end }}
{{- with .Values.envFromSecrets }}
envFrom:
{{- range . }}
  - secretRef: {name: {{ . | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{/* A store in the cluster: (dict "root" $ "component" … "values" … "mount" … "spec" …) */}}
{{- define "sfm.store" -}}
{{- $name := printf "%s-%s" (include "sfm.name" .root) .component -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  labels: {{- include "sfm.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  clusterIP: None
  selector: {{- include "sfm.selector" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
  ports: {{- toYaml .ports | nindent 4 }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ $name }}
  labels: {{- include "sfm.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  serviceName: {{ $name }}
  replicas: 1
  selector:
    matchLabels: {{- include "sfm.selector" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  template:
    metadata:
      labels: {{- include "sfm.selector" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 60
      securityContext: {runAsNonRoot: true, runAsUser: {{ .user }}, runAsGroup: {{ .user }}, fsGroup: {{ .user }}, seccompProfile: {type: RuntimeDefault}}
      {{- with .root.Values.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .component }}
          image: {{ .values.image | quote }}
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
          resources: {{- toYaml .values.resources | nindent 12 }}
          volumeMounts:
            - {name: data, mountPath: {{ .mount }}}
{{ .spec | indent 10 }}
{{- if .values.persistence.enabled }}
  volumeClaimTemplates:
    - metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .values.persistence.storageClass }}
        storageClassName: {{ . | quote }}
        {{- end }}
        resources: {requests: {storage: {{ .values.persistence.size }}}}
{{- else }}
      volumes:
        - {name: data, emptyDir: {}}
{{- end }}
{{- end }}
