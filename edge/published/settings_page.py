"""The page of all settings, docs/settings.md: made from the model that states them, as the options and the schema are."""

from edge.settings.setting_rows import SettingRow, setting_rows

_HEAD = """# Settings

What one edge process can be told. Each may stand in the file that `--config` names: TOML, `setting = value` a line, where its
name ends in .toml, else YAML, `setting: value` a line. `leuko-edge config init` writes a commented file, `config check` looks
through one, and `config show` prints every value in effect and where it comes from. In the environment a setting is
`LEUKO_EDGE_` and its name in capitals, a part of one behind two underscores (`LEUKO_EDGE_MAX_BATCH`,
`LEUKO_EDGE_THRESHOLDS__DETECT`); those with an option may be stated on the command line, too. The command line wins over the
environment, the environment over the file, the file over the profile, the profile over the bundle. Units are in the names.
`make schemas` writes this page and [edge.toml](edge.toml) from the model that the options of `leuko-edge run` and
[settings.schema.json](schemas/settings.schema.json) are made from.

| setting | option | value | default | what it is |
| --- | --- | --- | --- | --- |
"""


def settings_page() -> bytes:
    """The page, with one row for each setting in the order of the model."""
    return (_HEAD + "".join(f"| {' | '.join(_cells(row))} |\n" for row in setting_rows())).encode()


def _cells(row: SettingRow) -> tuple[str, ...]:
    name = f"`{row.name}: {row.part}`" if row.part else f"`{row.name}`"
    value = (
        ", ".join(f"`{word}`" for word in row.choices)
        if row.choices
        else row.value.replace("true or false", "`true` or `false`")
    )
    default = f"`{row.default_text}`" if row.default is not None else row.default_text
    return name, f"`{row.option}`" if row.option else "", value, default, row.description
