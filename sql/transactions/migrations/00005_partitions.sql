-- +goose Up
-- Makes the partitions of the month of a time and of the three that follow, and returns how many it made: the caller's clock says which
-- month it is, not the database's. The function without a time stays for releases that call it. Runs as its owner, because the service may
-- not create tables. ATTACH, unlike CREATE … PARTITION OF, does not stop those who write to the parent.
-- +goose StatementBegin
CREATE FUNCTION create_ledger_partitions(at timestamptz) RETURNS integer
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
	parent text;
	part   text;
	month  timestamptz;
	made   integer := 0;
BEGIN
	PERFORM pg_advisory_xact_lock(hashtext('create_ledger_partitions'));
	FOREACH parent IN ARRAY ARRAY['transactions', 'postings'] LOOP
		FOR ahead IN 0..3 LOOP
			month := date_trunc('month', at) + make_interval(months => ahead);
			part := parent || '_' || to_char(month, 'YYYY_MM');
			CONTINUE WHEN to_regclass('public.' || part) IS NOT NULL;
			EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', part, parent);
			EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
				parent, part, month, month + interval '1 month');
			EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON public.%I FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_append_only()',
				parent || '_no_truncate', part);
			made := made + 1;
		END LOOP;
	END LOOP;
	RETURN made;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION create_ledger_partitions(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION create_ledger_partitions(timestamptz) TO transactions_app;
