-- Schema 1, filled by store_values.fill; made with pg_dump --inserts, its session settings removed.
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.audit (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    who character varying NOT NULL,
    what character varying NOT NULL,
    about character varying NOT NULL,
    details json NOT NULL
);
CREATE SEQUENCE public.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.audit_id_seq OWNED BY public.audit.id;
CREATE TABLE public.cameras (
    name character varying NOT NULL,
    settings json NOT NULL,
    address character varying NOT NULL,
    sub character varying,
    changed_at timestamp with time zone NOT NULL
);
CREATE TABLE public.shelves (
    camera character varying NOT NULL,
    until timestamp with time zone NOT NULL,
    by character varying NOT NULL
);
CREATE TABLE public.coverage (
    camera character varying NOT NULL,
    hour timestamp with time zone NOT NULL,
    seen_s double precision NOT NULL,
    due_s double precision NOT NULL
);
CREATE TABLE public.evidence (
    path character varying NOT NULL,
    incident character varying NOT NULL,
    kind character varying NOT NULL,
    sha256 character varying NOT NULL,
    size_bytes bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    start_s double precision NOT NULL,
    end_s double precision NOT NULL,
    complete boolean NOT NULL,
    problem character varying NOT NULL,
    deleted_at timestamp with time zone
);
CREATE TABLE public.faults (
    uid character varying NOT NULL,
    camera character varying NOT NULL,
    kind character varying NOT NULL,
    message character varying NOT NULL,
    began_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone
);
CREATE TABLE public.incidents (
    uid character varying NOT NULL,
    camera character varying NOT NULL,
    zone character varying NOT NULL,
    behavior character varying NOT NULL,
    model character varying NOT NULL,
    peak double precision NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    acknowledged_at timestamp with time zone,
    acknowledged_by character varying NOT NULL,
    answer character varying,
    answered_by character varying NOT NULL,
    answer_behavior character varying NOT NULL,
    answer_note character varying NOT NULL,
    locked boolean NOT NULL,
    escalations integer NOT NULL,
    escalated_at timestamp with time zone
);
CREATE TABLE public.meta (
    key character varying NOT NULL,
    value character varying NOT NULL
);
CREATE TABLE public.outbox (
    id bigint NOT NULL,
    key character varying NOT NULL,
    target character varying NOT NULL,
    subject character varying NOT NULL,
    uid character varying NOT NULL,
    kind character varying NOT NULL,
    payload json NOT NULL,
    state character varying NOT NULL,
    attempts integer NOT NULL,
    next_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    delivered_at timestamp with time zone,
    last_error character varying NOT NULL
);
CREATE SEQUENCE public.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.outbox_id_seq OWNED BY public.outbox.id;
CREATE TABLE public.transitions (
    id bigint NOT NULL,
    incident character varying NOT NULL,
    kind character varying NOT NULL,
    at timestamp with time zone NOT NULL,
    score double precision,
    by character varying NOT NULL,
    details json NOT NULL
);
CREATE SEQUENCE public.transitions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.transitions_id_seq OWNED BY public.transitions.id;
ALTER TABLE ONLY public.audit ALTER COLUMN id SET DEFAULT nextval('public.audit_id_seq'::regclass);
ALTER TABLE ONLY public.outbox ALTER COLUMN id SET DEFAULT nextval('public.outbox_id_seq'::regclass);
ALTER TABLE ONLY public.transitions ALTER COLUMN id SET DEFAULT nextval('public.transitions_id_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0001');
INSERT INTO public.audit VALUES (1, '2026-07-01 03:00:00.123456+00', 'kim', 'shelve', '프레스 2', '{"hours": 1}');
INSERT INTO public.cameras VALUES ('press-3', '{"name": "press-3", "transport": "tcp", "enabled": true, "behaviors": null, "theta_on": {}, "zones": [], "masks": [], "hours": [], "pre_roll_s": null, "post_roll_s": null}', 'v1.11fa70fa.mNkN6M4dsuVtOC2j7Pd2dWniyHPAOhSBL886p1fNmzlEC3fiUUHJ1l2mNZiE4T7HQlJ6-EbG0F1yPZKob9PRVzk=', 'v1.11fa70fa.fb0xIEtlVXXATjtuvigcGcGadYl6zJcfuw9d7PcTcrJg3ZMaGzBvoypuNXB7YCm3a2a869JjiOdfqdQRZrQaKQ==', '2026-07-01 03:00:00.123456+00');
INSERT INTO public.cameras VALUES ('프레스 2', '{"name": "\ud504\ub808\uc2a4 2", "transport": "tcp", "enabled": true, "behaviors": null, "theta_on": {}, "zones": [{"name": "\ubca8\ud2b8", "polygon": [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]}], "masks": [], "hours": [], "pre_roll_s": null, "post_roll_s": null}', 'v1.11fa70fa.UyvKqY-AucxFgvYbs66lBL8-uHjCZpVa8SCDlJNEpHP6f7rxXxz6RHPtbVdu2LWiwJk4R3p6hhVDAB70-inXlrE=', NULL, '2026-07-01 03:00:00.123456+00');
INSERT INTO public.shelves VALUES ('프레스 2', '2026-07-01 04:00:00.123456+00', 'kim');
INSERT INTO public.coverage VALUES ('press-3', '2026-07-01 03:00:00+00', 3500.5, 3600);
INSERT INTO public.evidence VALUES ('2026/07/i1.mp4', 'i1', 'video', 'abababababababababababababababababababababababababababababababab', 8589934592, '2026-07-01 03:00:00.123456+00', 0, 20, true, '', NULL);
INSERT INTO public.faults VALUES ('f1', 'press-3', 'offline', 'no frame for 10 s', '2026-07-01 03:00:00.123456+00', NULL);
INSERT INTO public.incidents VALUES ('i2', 'press-3', 'belt', 'fall', 'demo', 0.7, '2026-07-01 03:01:00.123456+00', NULL, NULL, '', NULL, '', '', '', false, 1, '2026-07-01 03:03:20.123456+00');
INSERT INTO public.incidents VALUES ('i1', 'press-3', 'belt', 'fall', 'demo', 0.9, '2026-07-01 03:00:00.123456+00', '2026-07-01 03:00:30.123456+00', '2026-07-01 03:01:30.123456+00', 'lee', 'other-behavior', 'lee', 'jam', '기계 걸림', true, 0, NULL);
INSERT INTO public.meta VALUES ('cameras-version', '75fa5f1455fa45b986a60f2fdb99804f');
INSERT INTO public.meta VALUES ('evidence-head', 'abababababababababababababababababababababababababababababababab');
INSERT INTO public.outbox VALUES (3, 'i2:escalated:siren', 'siren', 'incident', 'i2', 'opened', '{"text": "\ub118\uc5b4\uc9d0", "score": 0.7}', 'due', 0, '2026-07-01 03:03:20.123456+00', '2026-07-01 03:03:20.123456+00', NULL, '');
INSERT INTO public.outbox VALUES (1, 'i1:opened:phone', 'phone', 'incident', 'i1', 'opened', '{"text": "\ub118\uc5b4\uc9d0", "score": 0.7}', 'delivered', 1, '2026-07-01 03:00:00.123456+00', '2026-07-01 03:00:00.123456+00', '2026-07-01 03:00:01.123456+00', '');
INSERT INTO public.outbox VALUES (2, 'i2:opened:phone', 'phone', 'incident', 'i2', 'opened', '{"text": "\ub118\uc5b4\uc9d0", "score": 0.7}', 'due', 1, '2026-07-01 03:01:31.123456+00', '2026-07-01 03:01:00.123456+00', NULL, 'timed out');
INSERT INTO public.transitions VALUES (1, 'i1', 'opened', '2026-07-01 03:00:00.123456+00', 0.7, '', '{}');
INSERT INTO public.transitions VALUES (2, 'i2', 'opened', '2026-07-01 03:01:00.123456+00', 0.7, '', '{}');
INSERT INTO public.transitions VALUES (3, 'i2', 'escalated', '2026-07-01 03:03:20.123456+00', NULL, '', '{}');
INSERT INTO public.transitions VALUES (4, 'i1', 'closed', '2026-07-01 03:00:30.123456+00', 0.2, '', '{}');
INSERT INTO public.transitions VALUES (5, 'i1', 'answered', '2026-07-01 03:01:30.123456+00', NULL, 'lee', '{"answer": "other-behavior", "behavior": "jam", "note": "\uae30\uacc4 \uac78\ub9bc"}');
INSERT INTO public.transitions VALUES (6, 'i1', 'locked', '2026-07-01 03:01:35.123456+00', NULL, 'lee', '{}');
SELECT pg_catalog.setval('public.audit_id_seq', 1, true);
SELECT pg_catalog.setval('public.outbox_id_seq', 3, true);
SELECT pg_catalog.setval('public.transitions_id_seq', 6, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT pk_audit PRIMARY KEY (id);
ALTER TABLE ONLY public.cameras
    ADD CONSTRAINT pk_cameras PRIMARY KEY (name);
ALTER TABLE ONLY public.shelves
    ADD CONSTRAINT pk_shelves PRIMARY KEY (camera);
ALTER TABLE ONLY public.coverage
    ADD CONSTRAINT pk_coverage PRIMARY KEY (camera, hour);
ALTER TABLE ONLY public.evidence
    ADD CONSTRAINT pk_evidence PRIMARY KEY (path);
ALTER TABLE ONLY public.faults
    ADD CONSTRAINT pk_faults PRIMARY KEY (uid);
ALTER TABLE ONLY public.incidents
    ADD CONSTRAINT pk_incidents PRIMARY KEY (uid);
ALTER TABLE ONLY public.meta
    ADD CONSTRAINT pk_meta PRIMARY KEY (key);
ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT pk_outbox PRIMARY KEY (id);
ALTER TABLE ONLY public.transitions
    ADD CONSTRAINT pk_transitions PRIMARY KEY (id);
ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT uq_outbox_key UNIQUE (key);
CREATE INDEX ix_coverage_hour ON public.coverage USING btree (hour);
CREATE INDEX ix_evidence_incident ON public.evidence USING btree (incident);
CREATE INDEX ix_faults_began_at ON public.faults USING btree (began_at);
CREATE INDEX ix_faults_camera_began_at ON public.faults USING btree (camera, began_at);
CREATE INDEX ix_faults_ended_at ON public.faults USING btree (ended_at);
CREATE INDEX ix_incidents_acknowledged_at_escalations_opened_at ON public.incidents USING btree (acknowledged_at, escalations, opened_at);
CREATE INDEX ix_incidents_answer_opened_at ON public.incidents USING btree (answer, opened_at);
CREATE INDEX ix_incidents_camera_opened_at_uid ON public.incidents USING btree (camera, opened_at, uid);
CREATE INDEX ix_incidents_closed_at ON public.incidents USING btree (closed_at);
CREATE INDEX ix_incidents_locked ON public.incidents USING btree (locked);
CREATE INDEX ix_incidents_opened_at_uid ON public.incidents USING btree (opened_at, uid);
CREATE INDEX ix_outbox_state_next_at ON public.outbox USING btree (state, next_at);
CREATE INDEX ix_outbox_target_state ON public.outbox USING btree (target, state);
CREATE INDEX ix_outbox_uid ON public.outbox USING btree (uid);
CREATE INDEX ix_transitions_incident ON public.transitions USING btree (incident);
ALTER TABLE ONLY public.evidence
    ADD CONSTRAINT fk_evidence_incident FOREIGN KEY (incident) REFERENCES public.incidents(uid);
ALTER TABLE ONLY public.transitions
    ADD CONSTRAINT fk_transitions_incident FOREIGN KEY (incident) REFERENCES public.incidents(uid);
