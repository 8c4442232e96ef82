CREATE TABLE `observed` (
	`kind` text NOT NULL,
	`day` integer NOT NULL,
	`policy_domain` text NOT NULL,
	`row` text NOT NULL,
	`count` integer NOT NULL,
	PRIMARY KEY(`kind`, `day`, `policy_domain`, `row`)
) STRICT, WITHOUT ROWID;
