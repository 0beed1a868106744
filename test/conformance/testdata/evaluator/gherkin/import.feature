Feature: Imported flags answer as flagd does

  Scenario Outline: What a flag serves without a context
    Given a <type>-flag with key "<key>" and a fallback value "<fallback>"
    When the flag was evaluated with details
    Then the resolved details value should be "<value>"
    And the reason should be "<reason>"

    Examples:
      | type    | key                     | fallback | value   | reason   |
      | Boolean | dark-mode               | false    | true    | STATIC   |
      | Integer | page-size               | 1        | 48      | STATIC   |
      | Float   | opacity                 | 1        | 0.25    | STATIC   |
      | Object  | banner                  | {"a": 1} | {}      | STATIC   |
      | String  | greeting                | hi       |         | STATIC   |
      | Boolean | off-boolean             | false    | false   | DISABLED |
      | String  | off-text                | code     | code    | DISABLED |
      | String  | no-default              | code     | code    | DEFAULT  |
      | Boolean | null-default            | true     | true    | DEFAULT  |
      | Boolean | null-default            | false    | false   | DEFAULT  |
      | String  | no-default-but-targeted | code     | code    | DEFAULT  |
      | String  | alone                   | code     | upper   | DEFAULT  |
      | String  | version-alone           | code     | neither | DEFAULT  |
      | String  | prefix-alone            | code     | neither | DEFAULT  |

  Scenario Outline: What the targeting chooses
    Given a String-flag with key "<key>" and a fallback value "code"
    And a context containing a key "<attribute>", with type "<type>" and with value "<given>"
    When the flag was evaluated with details
    Then the resolved details value should be "<value>"
    And the reason should be "<reason>"

    Examples:
      | key                     | attribute | type    | given           | value   | reason          |
      | staff                   | email     | String  | ann@shop.example | in      | TARGETING_MATCH |
      | staff                   | email     | String  | ann@else.example | out     | TARGETING_MATCH |
      | no-default-but-targeted | email     | String  | ann@shop.example | large   | TARGETING_MATCH |
      | no-default-but-targeted | email     | String  | ann@else.example | code    | DEFAULT         |
      | default-by-targeting    | plan      | String  | basic           | B       | TARGETING_MATCH |
      | version-alone           | version   | String  | 2.1.0           | true    | TARGETING_MATCH |
      | version-alone           | version   | String  | 1.9.9           | false   | TARGETING_MATCH |
      | version-alone           | version   | String  | new             | neither | DEFAULT         |
      | prefix-alone            | version   | String  | v1              | true    | TARGETING_MATCH |
      | prefix-alone            | version   | String  | 1               | false   | TARGETING_MATCH |
      | prefix-alone            | version   | Integer | 1               | neither | DEFAULT         |
      | alone                   | email     | String  | ejOoVL          | lower   | SPLIT           |
      | alone                   | email     | String  | ceQdGm          | upper   | SPLIT           |

  Scenario Outline: What a subject is dealt
    Given a String-flag with key "<key>" and a fallback value "code"
    And a context containing a targeting key with value "ann"
    And a context containing a key "plan", with type "String" and with value "<plan>"
    And a context containing a key "colour", with type "String" and with value "<colour>"
    When the flag was evaluated with details
    Then the resolved details value should be "<value>"

    Examples:
      | key               | plan  | colour | value    |
      | choice-of-variant | basic |        | basic    |
      | choice-of-weight  | gold  |        | new      |
      | choice-of-weight  | basic |        | none     |
      | named-variant     |       | red    | red      |
      | named-variant     |       | blue   | blue     |
      | named-variant     |       | green  | none     |
      | dealt-condition   |       |        | hundreds |

  Scenario Outline: A nested attribute is hashed behind a text, and the text alone without it
    Given a String-flag with key "seeded" and a fallback value "code"
    And a context containing a nested property with outer key "<outer>" and inner key "name", with value "ann"
    When the flag was evaluated with details
    Then the resolved details value should be "<value>"

    Examples:
      | outer | value |
      | user  | lower |
      | other | upper |

  Scenario: Metadata
    Given a Integer-flag with key "page-size" and a fallback value "1"
    When the flag was evaluated with details
    Then the resolved metadata should contain
      | key   | metadata_type | value  |
      | team  | String        | search |
      | since | Integer       | 3      |

  Scenario: A flag that is not there
    Given a String-flag with key "nowhere" and a fallback value "code"
    When the flag was evaluated with details
    Then the error-code should be "FLAG_NOT_FOUND"
