-- What records changes made past the application, in the same transaction and the same chain (docs/capture.md).
-- @schema@ stands for the schema of FlaskTrack's tables. capture/database.py installs it.
--
-- A record is made here by the same rules as by store/writer.py, byte for byte: the head row is taken, the newest
-- record must be the one that it names and give its hash, ordinals go on, the header is RFC 8785's JSON. A snapshot has
-- the form of capture/snapshot.py, so that a state is the same text whoever recorded it.

-- A number as orjson writes it: shortest digits, with an exponent from 1e16 on and below 1e-5.
CREATE OR REPLACE FUNCTION @schema@.flasktrack_number(value float8) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    parts text[] := regexp_match(value::text, '^(-?)([0-9]+)\.?([0-9]*)(?:e([+-][0-9]+))?$');
    digits text := ltrim(parts[2] || parts[3], '0');
    -- The power of ten of the first digit that counts.
    power int := coalesce(parts[4]::int, 0) + length(parts[2]) - 1
        - (length(parts[2] || parts[3]) - length(ltrim(parts[2] || parts[3], '0')));
    shorter text;
BEGIN
    IF parts IS NULL THEN
        RETURN to_json(value::text)::text;  -- NaN, Infinity, -Infinity
    END IF;
    digits := rtrim(digits, '0');
    -- PostgreSQL leaves out the ends of the interval that reads as the same number, where a shorter one may lie.
    WHILE length(digits) > 15 LOOP
        SELECT candidate INTO shorter
            FROM (VALUES (trunc(digits::numeric / 10)), (trunc(digits::numeric / 10) + 1)) AS c (number),
            LATERAL (SELECT number::text AS candidate) AS n,
            LATERAL (SELECT candidate || 'e' || (power - length(digits) + 2) AS written) AS w
            WHERE CASE WHEN written::numeric <= 1.7976931348623157e308::numeric
                THEN written::float8 = abs(value) END;
        EXIT WHEN shorter IS NULL;
        power := power + length(shorter) - length(digits) + 1;
        digits := rtrim(shorter, '0');
    END LOOP;
    IF digits = '' THEN
        RETURN parts[1] || '0.0';
    ELSIF power < -5 OR power > 15 THEN
        RETURN parts[1] || left(digits, 1) || CASE WHEN length(digits) > 1 THEN '.' || substr(digits, 2) ELSE '' END
            || 'e' || CASE WHEN power > 0 THEN '+' ELSE '' END || power;
    ELSIF power < 0 THEN
        RETURN parts[1] || '0.' || repeat('0', -power - 1) || digits;
    ELSIF length(digits) <= power + 1 THEN
        RETURN parts[1] || rpad(digits, power + 1, '0') || '.0';
    END IF;
    RETURN parts[1] || left(digits, power + 1) || '.' || substr(digits, power + 2);
END $$;

-- An integer's digits; as text beyond what a double holds.
CREATE OR REPLACE FUNCTION @schema@.flasktrack_integer(digits text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN abs(digits::numeric) <= 9007199254740991 THEN digits::numeric::text
        ELSE to_json(digits)::text END
$$;

-- JSON with its keys in order, as a section has it.
CREATE OR REPLACE FUNCTION @schema@.flasktrack_json(value json) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    token text;
BEGIN
    CASE json_typeof(value)
        WHEN 'object' THEN
            -- Where a key comes twice, the last one counts.
            RETURN (SELECT '{' || coalesce(string_agg(to_json(key)::text || ':' || @schema@.flasktrack_json(item), ','
                ORDER BY key COLLATE "C"), '') || '}'
                FROM (SELECT DISTINCT ON (key) key, item FROM json_each(value) WITH ORDINALITY AS e (key, item, place)
                    ORDER BY key, place DESC) AS last);
        WHEN 'array' THEN
            RETURN (SELECT '[' || coalesce(string_agg(@schema@.flasktrack_json(item), ',' ORDER BY place), '') || ']'
                FROM json_array_elements(value) WITH ORDINALITY AS e (item, place));
        WHEN 'string' THEN
            RETURN to_json(value #>> '{}')::text;
        WHEN 'number' THEN
            token := value #>> '{}';
            IF token ~ '^-?[0-9]+$' THEN
                RETURN @schema@.flasktrack_integer(token);
            ELSIF abs(token::numeric) > 1.7976931348623157e308::numeric THEN
                RETURN CASE WHEN left(token, 1) = '-' THEN '"-Infinity"' ELSE '"Infinity"' END;
            ELSIF abs(token::numeric) < 1e-307::numeric AND token::numeric <> 0 THEN
                RETURN CASE WHEN abs(token::numeric) < 2.4703282292062328e-324::numeric THEN '0.0'
                    ELSE @schema@.flasktrack_number(token::float8) END;
            END IF;
            RETURN @schema@.flasktrack_number(token::float8);
        ELSE
            RETURN coalesce(btrim(value::text), 'null');  -- true, false, null
    END CASE;
END $$;

-- A column's value, given in JSON by row_to_json, in the form of a snapshot.
CREATE OR REPLACE FUNCTION @schema@.flasktrack_form(kind oid, value json) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    type pg_type%ROWTYPE;
    written text := value #>> '{}';
    moment timestamp;
    span interval;
    seconds numeric;
    sign text := '';
BEGIN
    SELECT * INTO type FROM pg_type WHERE oid = kind;
    WHILE type.typbasetype <> 0 LOOP
        SELECT * INTO type FROM pg_type WHERE oid = type.typbasetype;
    END LOOP;
    IF type.typname IN ('json', 'jsonb') THEN
        RETURN @schema@.flasktrack_json(value);
    ELSIF written IS NULL THEN
        RETURN 'null';
    ELSIF type.typcategory = 'A' AND json_typeof(value) = 'array' THEN
        RETURN (SELECT '[' || coalesce(string_agg(@schema@.flasktrack_form(
            CASE WHEN json_typeof(item) = 'array' AND type.typelem NOT IN ('json'::regtype, 'jsonb'::regtype)
                THEN kind ELSE type.typelem END, item), ',' ORDER BY place), '') || ']'
            FROM json_array_elements(value) WITH ORDINALITY AS e (item, place));
    END IF;
    CASE type.typname
        WHEN 'bool' THEN
            RETURN written;
        WHEN 'int2', 'int4', 'int8', 'oid' THEN
            RETURN @schema@.flasktrack_integer(written);
        WHEN 'float4', 'float8' THEN
            RETURN @schema@.flasktrack_number(written::float8);
        WHEN 'timestamp', 'timestamptz' THEN
            IF written ~ '^(-?infinity|.* BC)$' THEN
                RETURN to_json(written)::text;
            END IF;
            moment := CASE type.typname WHEN 'timestamp' THEN written::timestamp
                ELSE written::timestamptz AT TIME ZONE 'UTC' END;
            RETURN to_json(to_char(moment, 'YYYY-MM-DD"T"HH24:MI:SS.US')
                || CASE type.typname WHEN 'timestamptz' THEN 'Z' ELSE '' END)::text;
        WHEN 'time', 'timetz' THEN
            RETURN to_json(rpad(substr(written, 1, 8) || coalesce(substring(written FROM '\.[0-9]+'), '.'), 15, '0')
                || coalesce(regexp_replace(substring(written FROM '[+-].*$'), '^(...)$', '\1:00'), ''))::text;
        WHEN 'interval' THEN
            span := written::interval;  -- a month has 30 days and a year 365, as psycopg reads them
            seconds := (extract(year FROM span) * 365 + extract(month FROM span) * 30 + extract(day FROM span)) * 86400
                + extract(hour FROM span) * 3600 + extract(minute FROM span) * 60 + extract(second FROM span);
            IF seconds < 0 THEN
                sign := '-';
                seconds := -seconds;
            END IF;
            RETURN to_json(sign || 'P' || div(seconds, 86400) || 'DT'
                || to_char(mod(seconds, 86400), 'FM99990.000000') || 'S')::text;
        WHEN 'bytea' THEN
            IF length(written) <= 2 + 2 * 1024 THEN
                RETURN to_json(translate(encode(written::bytea, 'base64'), E'\n', ''))::text;
            END IF;
            RETURN format('{"bytes":%s,"sha256":"%s"}', length(written::bytea), encode(sha256(written::bytea), 'hex'));
        ELSE
            RETURN CASE WHEN json_typeof(value) IN ('object', 'array') THEN @schema@.flasktrack_json(value)
                ELSE to_json(written)::text END;
    END CASE;
END $$;

-- A row as a section's body; columns that are left out, or masked, by name.
CREATE OR REPLACE FUNCTION @schema@.flasktrack_snapshot(relation oid, contents json, excluded text[], masked text[])
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT '{' || coalesce(string_agg(to_json(attname)::text || ':' || CASE
            WHEN attname::text = ANY (masked) THEN '"[masked]"'
            -- What row_to_json writes in the form of a snapshot already.
            WHEN atttypid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'uuid'::regtype, 'date'::regtype,
                'bool'::regtype, 'int2'::regtype, 'int4'::regtype) THEN value::text
            WHEN atttypid = 'int8'::regtype AND length(value::text) < 16 THEN value::text
            ELSE @schema@.flasktrack_form(atttypid, value) END,
        ',' ORDER BY attname::text COLLATE "C"), '') || '}'
    FROM json_each(contents) JOIN pg_attribute ON attname = key AND attrelid = relation AND attnum > 0
    WHERE attname::text <> ALL (excluded)
$$;

-- The id of the entity that a row is, as capture/snapshot.py gives it.
CREATE OR REPLACE FUNCTION @schema@.flasktrack_entity_id(relation oid, contents json, keys text[])
RETURNS text LANGUAGE sql STABLE AS $$
    WITH part AS (
        SELECT place, CASE WHEN left(form, 1) = '"' THEN form::json #>> '{}' ELSE form END AS part
        FROM unnest(keys) WITH ORDINALITY AS k (name, place)
        JOIN pg_attribute ON attname = name AND attrelid = relation,
        LATERAL @schema@.flasktrack_form(atttypid, contents -> name) AS form
    )
    SELECT CASE count(*) WHEN 1 THEN min(part)
        ELSE string_agg(replace(replace(part, '%', '%25'), ',', '%2C'), ',' ORDER BY place) END FROM part
$$;

-- A moment as a header has it.
CREATE OR REPLACE FUNCTION @schema@.flasktrack_time(moment timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- SHA-256(0x00 || header) of a record, whatever its column `hash` says.
CREATE OR REPLACE FUNCTION @schema@.flasktrack_hash(r @schema@.audit_record) RETURNS bytea LANGUAGE plpgsql STABLE AS $$
DECLARE
    related text := (SELECT coalesce(string_agg(format('{"id":%s,"type":%s}', to_json(item ->> 'id')::text,
        to_json(item ->> 'type')::text), ',' ORDER BY place), '')
        FROM json_array_elements(r.related::json) WITH ORDINALITY AS e (item, place));
BEGIN
    RETURN sha256('\x00'::bytea || convert_to(concat(
        '{"action":', to_json(r.action),
        ',"actor":{"id":', to_json(r.actor_id),
        ',"name":', coalesce(to_json(r.actor_name)::text, 'null'),
        ',"role":', coalesce(to_json(r.actor_role)::text, 'null'),
        ',"type":', to_json(r.actor_type),
        '},"actor_seq":', r.actor_seq,
        ',"after":', coalesce(to_json(encode(r.after_digest, 'hex'))::text, 'null'),
        ',"before":', coalesce(to_json(encode(r.before_digest, 'hex'))::text, 'null'),
        ',"context":', coalesce(to_json(encode(r.context_digest, 'hex'))::text, 'null'),
        ',"correlation_id":', coalesce(to_json(r.correlation_id)::text, 'null'),
        ',"credential_id":', coalesce(to_json(r.credential_id)::text, 'null'),
        ',"entity":{"id":', to_json(r.entity_id),
        ',"name":', coalesce(to_json(r.entity_name)::text, 'null'),
        ',"type":', to_json(r.entity_type),
        '},"entity_seq":', r.entity_seq,
        ',"occurred_at":', to_json(@schema@.flasktrack_time(r.occurred_at)),
        ',"on_behalf_of":', coalesce(to_json(r.on_behalf_of)::text, 'null'),
        ',"organization_id":', to_json(r.organization_id),
        ',"outcome":', to_json(r.outcome),
        ',"prev":', to_json(encode(r.prev_hash, 'hex')),
        ',"reason":', coalesce(to_json(r.reason)::text, 'null'),
        ',"record_id":', to_json(r.record_id),
        ',"recorded_at":', to_json(@schema@.flasktrack_time(r.recorded_at)),
        ',"related":[', related,
        '],"seq":', r.seq,
        ',"v":1}'), 'UTF8'));
END $$;

-- 16 random bytes.
CREATE OR REPLACE FUNCTION @schema@.flasktrack_salt() RETURNS bytea LANGUAGE sql VOLATILE AS $$
    SELECT substr(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 1, 16)
$$;

-- Append a record. `r` says what happened; its place in the chain, ordinals, times, digests and hash are given here.
CREATE OR REPLACE FUNCTION @schema@.flasktrack_append(
    r @schema@.audit_record, before text, after text, context text, links json
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    head record;
    newest @schema@.audit_record%ROWTYPE;
    before_salt bytea;
    after_salt bytea;
    context_salt bytea;
    own boolean;  -- whether the newest record was written in this transaction
BEGIN
    SELECT size, hash INTO head FROM @schema@.chain_head WHERE organization_id = r.organization_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'FlaskTrack: there is no organization %, so nothing can be recorded', r.organization_id;
    END IF;
    SELECT * INTO newest FROM @schema@.audit_record WHERE organization_id = r.organization_id ORDER BY seq DESC LIMIT 1;
    own := (SELECT xmin = pg_current_xact_id()::xid FROM @schema@.audit_record
        WHERE organization_id = r.organization_id AND seq = newest.seq);
    IF newest.seq IS NULL THEN
        newest.seq := 0;
        newest.hash := decode(repeat('00', 32), 'hex');
    ELSIF NOT own AND @schema@.flasktrack_hash(newest) IS DISTINCT FROM newest.hash THEN
        RAISE EXCEPTION 'FlaskTrack: the newest record of % does not give its hash, so nothing can be appended',
            r.organization_id USING HINT = 'Somebody altered the database: run a verification.';
    END IF;
    IF (head.size, head.hash) IS DISTINCT FROM (newest.seq, newest.hash) THEN
        RAISE EXCEPTION
            'FlaskTrack: the newest record of % is not the one that its head names, so nothing can be appended',
            r.organization_id USING HINT = 'Somebody altered the database: run a verification.';
    END IF;
    IF greatest(octet_length(before), octet_length(after), octet_length(context)) > 1048576 THEN
        RAISE EXCEPTION 'FlaskTrack: a row of % is too large for a record, which has at most 1 MiB of it', r.entity_type
            USING HINT = 'Leave out columns with large values when the trigger is installed.';
    ELSIF coalesce(length(r.entity_id), 0) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'FlaskTrack: a row of % has no key of 1 to 255 characters, so it can''t be recorded',
            r.entity_type USING HINT = 'Name other columns as the key when the trigger is installed.';
    END IF;
    r.seq := newest.seq + 1;
    r.prev_hash := newest.hash;
    r.record_id := gen_random_uuid();
    r.occurred_at := clock_timestamp();
    r.recorded_at := greatest(r.occurred_at, newest.recorded_at);
    r.actor_seq := 1 + coalesce((SELECT max(actor_seq) FROM @schema@.audit_record WHERE organization_id =
        r.organization_id AND actor_type = r.actor_type AND actor_id = r.actor_id), 0);
    r.entity_seq := 1 + coalesce((SELECT max(entity_seq) FROM @schema@.audit_record WHERE organization_id =
        r.organization_id AND entity_type = r.entity_type AND entity_id = r.entity_id), 0);
    r.related := (SELECT '[' || coalesce(string_agg(format('{"type":%s,"id":%s}', item -> 'type', item -> 'id'), ','
        ORDER BY place), '') || ']' FROM json_array_elements(links) WITH ORDINALITY AS e (item, place));
    IF before IS NOT NULL THEN
        before_salt := @schema@.flasktrack_salt();
        r.before_digest := sha256(before_salt || convert_to(before, 'UTF8'));
    END IF;
    IF after IS NOT NULL THEN
        after_salt := @schema@.flasktrack_salt();
        r.after_digest := sha256(after_salt || convert_to(after, 'UTF8'));
    END IF;
    context_salt := @schema@.flasktrack_salt();
    r.context_digest := sha256(context_salt || convert_to(context, 'UTF8'));
    r.hash := @schema@.flasktrack_hash(r);
    INSERT INTO @schema@.audit_record SELECT r.*;
    INSERT INTO @schema@.audit_payload
        (organization_id, seq, before, before_salt, after, after_salt, context, context_salt)
        VALUES (r.organization_id, r.seq, before, before_salt, after, after_salt, context, context_salt);
    INSERT INTO @schema@.record_link (organization_id, entity_type, entity_id, seq)
        SELECT r.organization_id, item ->> 'type', item ->> 'id', r.seq FROM json_array_elements(links) AS item;
    UPDATE @schema@.chain_head SET size = r.seq, hash = r.hash WHERE organization_id = r.organization_id;
END $$;

-- The first act on the entity that this very transaction recorded; null where it recorded none.
CREATE OR REPLACE FUNCTION @schema@.flasktrack_recorded_since(organization text, kind text, entity text)
RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    found record;
    first bigint;
BEGIN
    FOR found IN
        SELECT entity_seq, xmin = pg_current_xact_id()::xid AS own FROM @schema@.audit_record
        WHERE organization_id = organization AND entity_type = kind AND entity_id = entity ORDER BY entity_seq DESC
    LOOP
        EXIT WHEN NOT found.own;
        first := found.entity_seq;
    END LOOP;
    RETURN first;
END $$;

-- Whether one of the acts from `since` on, of somebody else's, says that the entity is what it is now.
CREATE OR REPLACE FUNCTION @schema@.flasktrack_is_recorded(
    organization text, kind text, entity text, by_whom text, since bigint, state text
) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT p.before, p.after FROM @schema@.audit_record a JOIN @schema@.audit_payload p USING (organization_id, seq)
        WHERE a.organization_id = organization AND a.entity_type = kind AND a.entity_id = entity
            AND a.entity_seq >= since AND (a.actor_type, a.actor_id) <> ('user', by_whom)
    LOOP
        IF state IS NULL THEN
            IF found.after IS NULL AND found.before IS NOT NULL THEN
                RETURN true;
            END IF;
        ELSIF (SELECT count(*) > 0 AND bool_and(mine.value = theirs.value OR '"[masked]"' IN (mine.value, theirs.value))
            FROM jsonb_each(state::jsonb) AS mine JOIN jsonb_each(found.after::jsonb) AS theirs USING (key)
        ) THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;

-- The other audited entities that a row refers to by its foreign keys: tables that have this trigger, by their keys.
CREATE OR REPLACE FUNCTION @schema@.flasktrack_related(relation oid, contents json) RETURNS SETOF text[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
    reference record;
    ids text[];
BEGIN
    FOR reference IN
        SELECT c.conkey, c.confkey, c.confrelid,
            convert_from(substr(t.tgargs, 1, length(t.tgargs) - 1), 'UTF8')::json AS how
        FROM pg_constraint c JOIN pg_trigger t ON t.tgrelid = c.confrelid AND t.tgname = 'flasktrack_capture'
        WHERE c.conrelid = relation AND c.contype = 'f' AND contents IS NOT NULL ORDER BY c.conname
    LOOP
        ids := ARRAY(
            SELECT mine.attname::text
            FROM json_array_elements_text(reference.how -> 'key') WITH ORDINALITY AS k (name, place)
            JOIN unnest(reference.conkey, reference.confkey) AS pair (here, there) ON true
            JOIN pg_attribute mine ON mine.attrelid = relation AND mine.attnum = pair.here
            JOIN pg_attribute theirs ON theirs.attrelid = reference.confrelid AND theirs.attnum = pair.there
                AND theirs.attname = k.name
            WHERE contents ->> mine.attname::text IS NOT NULL ORDER BY k.place
        );
        IF array_length(ids, 1) = json_array_length(reference.how -> 'key') THEN
            RETURN NEXT ARRAY[reference.how ->> 'entity_type', @schema@.flasktrack_entity_id(relation, contents, ids)];
        END IF;
    END LOOP;
END $$;

-- Record that a row was what it was, and is what it is. `how` is the trigger's argument.
CREATE OR REPLACE FUNCTION @schema@.flasktrack_record(
    relation regclass, how json, operation text, old_row json, new_row json
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    r @schema@.audit_record%ROWTYPE;
    keys text[] := ARRAY(SELECT json_array_elements_text(how -> 'key'));
    excluded text[] := ARRAY(SELECT json_array_elements_text(how -> 'exclude'));
    masked text[] := ARRAY(SELECT json_array_elements_text(how -> 'mask'));
    before text;
    after text;
    hidden text[];
    now_there json;
    since bigint;
    renamed text;
    links json;
BEGIN
    r.organization_id := how ->> 'organization_id';
    r.entity_type := how ->> 'entity_type';
    r.entity_id := @schema@.flasktrack_entity_id(relation, coalesce(old_row, new_row), keys);
    r.actor_type := 'user';
    r.actor_id := 'postgresql:' || session_user;
    r.actor_name := session_user;
    IF operation <> 'TRUNCATE' THEN
        since := @schema@.flasktrack_recorded_since(r.organization_id, r.entity_type, r.entity_id);
    END IF;
    IF since IS NOT NULL THEN
        EXECUTE format('SELECT row_to_json(t) FROM %s AS t WHERE %s', relation, (SELECT string_agg(
                format('t.%I = %L', name, coalesce(new_row, old_row) ->> name), ' AND ') FROM unnest(keys) AS name))
            INTO now_there;
        IF @schema@.flasktrack_is_recorded(r.organization_id, r.entity_type, r.entity_id, r.actor_id, since,
            CASE WHEN now_there IS NOT NULL
                THEN @schema@.flasktrack_snapshot(relation, now_there, excluded, masked) END) THEN
            RETURN;
        END IF;
    END IF;
    -- A row that is not there gives no snapshot.
    before := CASE WHEN old_row IS NOT NULL THEN @schema@.flasktrack_snapshot(relation, old_row, excluded, masked) END;
    after := CASE WHEN new_row IS NOT NULL THEN @schema@.flasktrack_snapshot(relation, new_row, excluded, masked) END;
    IF before IS NOT NULL AND after IS NOT NULL THEN
        hidden := ARRAY(SELECT name FROM unnest(masked) AS name WHERE (old_row ->> name) IS DISTINCT FROM
            (new_row ->> name) ORDER BY name COLLATE "C");
        IF before = after AND hidden = '{}' THEN
            RETURN;
        END IF;
        renamed := @schema@.flasktrack_entity_id(relation, new_row, keys);
    END IF;
    r.action := CASE WHEN before IS NULL THEN 'create' WHEN after IS NULL THEN 'delete' ELSE 'update' END;
    r.outcome := 'success';
    r.entity_name := nullif(left(coalesce(new_row, old_row) ->> (how ->> 'name'), 1024), '');
    links := (SELECT coalesce(json_agg(json_build_object('type', kind, 'id', id)), '[]') FROM (
        SELECT pair[1] AS kind, pair[2] AS id FROM @schema@.flasktrack_related(relation, old_row) AS pair
        UNION SELECT pair[1], pair[2] FROM @schema@.flasktrack_related(relation, new_row) AS pair
        UNION SELECT r.entity_type, renamed WHERE renamed <> r.entity_id
        ORDER BY 1, 2 LIMIT 100
    ) AS several);
    PERFORM @schema@.flasktrack_append(r, before, after, '{' || concat_ws(',',  -- by key
        '"application_name":' || to_json(nullif(current_setting('application_name'), ''))::text,
        '"backend_pid":' || pg_backend_pid(),
        '"ip":' || to_json(host(inet_client_addr()))::text,
        '"masked_changes":[' || (SELECT nullif(string_agg(to_json(name)::text, ',' ORDER BY place), '')
            FROM unnest(hidden) WITH ORDINALITY AS h (name, place)) || ']',
        '"operation":' || to_json(lower(operation))::text,
        '"role":' || to_json(nullif(current_setting('role'), 'none'))::text,
        '"source":"database trigger"',
        '"table":' || to_json(relation::text)::text,
        '"transaction":' || to_json(pg_current_xact_id()::text)::text,
        '"transaction_began":' || to_json(@schema@.flasktrack_time(now()))::text
    ) || '}', links);
END $$;

-- The trigger. Plans are made once a session, when a table may still be empty: never to read all of a chain.
-- Its argument: {organization_id, entity_type, key, name, exclude, mask}; the last four are columns.
CREATE OR REPLACE FUNCTION @schema@.flasktrack_capture() RETURNS trigger LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, @schema@, pg_temp
SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET bytea_output = 'hex'
SET extra_float_digits = 1 SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
    contents json;
    how json := TG_ARGV[0];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        FOR contents IN EXECUTE format('SELECT row_to_json(t) FROM ONLY %s AS t', TG_RELID::regclass) LOOP
            PERFORM @schema@.flasktrack_record(TG_RELID::regclass, how, TG_OP, contents, NULL);
        END LOOP;
    ELSIF TG_OP = 'INSERT' THEN
        PERFORM @schema@.flasktrack_record(TG_RELID::regclass, how, TG_OP, NULL, row_to_json(NEW));
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM @schema@.flasktrack_record(TG_RELID::regclass, how, TG_OP, row_to_json(OLD), NULL);
    ELSE
        PERFORM @schema@.flasktrack_record(TG_RELID::regclass, how, TG_OP, row_to_json(OLD), row_to_json(NEW));
    END IF;
    RETURN NULL;
END $$;
